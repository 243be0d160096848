//! The cache, the zone, and what fits into a packet.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Record, RecordType};

use crate::support::{
    Client, Gateway, TcpClient, Upstream, gated, name, query, query_without_edns, soa, wait_until,
};

/// Mutant: forget to take the age from the TTLs.
#[test]
fn an_answer_is_fetched_once_and_grows_old_in_the_cache() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let first = gateway.ask(&query("a.test."));
    assert_eq!((first.answers[0].ttl, first.answers.len()), (300, 1));
    assert!(first.recursion_available && !first.authoritative);
    wait_until("it is a second old", || {
        gateway.ask(&query("A.Test.")).answers[0].ttl < 300
    });
    assert_eq!(upstream.count(), 1);
    assert!(gateway.counter("hits") >= 1);
}

/// Mutant: take what has expired for an answer.
#[test]
fn an_answer_that_has_expired_is_fetched_anew() {
    let upstream = Upstream::start(|asked| vec![asked.address(1)]);
    let gateway = Gateway::of(&upstream, &[]);
    wait_until("it has expired", || {
        assert_eq!(gateway.ask(&query("a.test.")).answers.len(), 1);
        upstream.count() > 1
    });
}

/// Mutant: fetch an answer for each who wants it.
#[test]
fn equal_questions_in_flight_are_asked_once() {
    let (gate, upstream) = gated(|_| true);
    let closed = gate.lock().expect("nobody else");
    let gateway = Gateway::of(&upstream, &["--upstream-timeout-ms", "20000"]);
    let clients: Vec<_> = (0..50)
        .map(|_| (Client::of(&gateway), query("a.test.")))
        .collect();
    for (client, query) in &clients {
        client.send(&query.to_vec().expect("encodes"));
    }
    wait_until("all are in flight", || gateway.counter("in_flight") == 50);
    drop(closed);
    for (client, query) in &clients {
        let answer = client.receive();
        assert_eq!((answer.id, answer.answers.len()), (query.id, 1));
    }
    assert_eq!(upstream.count(), 1);
    assert_eq!(gateway.counter("coalesced"), 49);
}

/// Mutant: keep it as long as the record's TTL says, and not its data.
#[test]
fn that_there_is_nothing_is_kept_as_long_as_the_soa_record_says() {
    for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
        let upstream = Upstream::start(move |asked| {
            let mut reply = asked.reply();
            reply.metadata.response_code = code;
            let lifetime = if asked.message.queries[0].name() == &name("long.test.") {
                3600
            } else {
                1
            };
            reply.add_authority(soa(lifetime));
            vec![reply]
        });
        let gateway = Gateway::of(&upstream, &[]);
        for _ in 0..3 {
            let answer = gateway.ask(&query("long.test."));
            assert_eq!((answer.response_code, answer.authorities.len()), (code, 1));
        }
        assert_eq!(upstream.count(), 1);
        wait_until("a second is over", || {
            let answer = gateway.ask(&query("short.test."));
            assert!(answer.authorities[0].ttl <= 1);
            upstream.count() > 2
        });
    }
}

#[test]
fn nothing_without_an_soa_record_is_not_kept() {
    let upstream = Upstream::start(|asked| vec![asked.reply()]);
    let gateway = Gateway::of(&upstream, &[]);
    for count in 1..4 {
        assert!(gateway.ask(&query("a.test.")).answers.is_empty());
        assert_eq!(upstream.count(), count);
    }
}

/// Mutant: weigh every entry zero.
#[test]
fn the_cache_takes_no_more_than_it_may() {
    const NAMES: usize = 8_000;
    let upstream = Upstream::start(|asked| vec![asked.address(3600)]);
    let gateway = Gateway::of(&upstream, &["--cache-mib", "1"]);
    let client = Client::of(&gateway);
    for index in 0..NAMES {
        client.ask(&query(&format!("host-{index}.test.")));
    }
    let bytes = gateway.counter("cache_bytes");
    assert!((512 << 10..=1 << 20).contains(&bytes), "{bytes} bytes");
    assert!(gateway.counter("cache_entries") < NAMES as u64);
}

#[test]
fn an_answer_that_does_not_fit_is_truncated_and_whole_by_tcp() {
    let upstream = Upstream::start(|asked| {
        let mut reply = asked.address(300);
        for _ in 0..60 {
            let record = reply.answers[0].clone();
            reply.add_answer(record);
        }
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let plain = gateway.ask(&query_without_edns("a.test."));
    assert!(plain.truncation && plain.answers.is_empty() && plain.edns.is_none());
    let with_edns = gateway.ask(&query("a.test."));
    assert!(!with_edns.truncation);
    assert_eq!(
        (with_edns.answers.len(), with_edns.max_payload()),
        (61, 1232)
    );
    let mut tcp = TcpClient::of(&gateway);
    tcp.send(&query_without_edns("a.test."));
    assert_eq!(tcp.receive().answers.len(), 61);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_zone_is_answered_without_an_upstream_and_nothing_else_is() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let zone = folder.path().join("example.zone");
    let text =
        "$ORIGIN example.test.\n$TTL 60\n@ IN SOA ns admin ( 1 2 3 4 5 )\nwww IN A 192.0.2.9\n";
    std::fs::write(&zone, text).expect("a file");
    let gateway = Gateway::start(&["--zone", zone.to_str().expect("UTF-8")]);
    for recursion_desired in [true, false] {
        let mut query = query("www.example.test.");
        query.metadata.recursion_desired = recursion_desired;
        let answer = gateway.ask(&query);
        assert!(answer.authoritative && answer.answers.len() == 1);
    }
    let missing = gateway.ask(&query("missing.example.test."));
    assert_eq!(missing.response_code, ResponseCode::NXDomain);
    let elsewhere = gateway.ask(&query("www.elsewhere.test."));
    assert_eq!(elsewhere.response_code, ResponseCode::Refused);
}

/// Whoever does not resolve names himself needs the address, and not where it might be found.
///
/// Mutants: keep the answer without the upstream's part; give the upstream's part to who does not want others to be asked;
/// keep the answer of who does not for those who do.
#[test]
fn a_cname_that_leads_out_of_the_zone_is_followed_to_an_upstream() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let zone = folder.path().join("example.zone");
    let text = "$ORIGIN example.test.\n$TTL 60\n@ IN SOA ns admin ( 1 2 3 4 5 )\n\
        out IN CNAME www.elsewhere.test.\nlost IN CNAME missing.elsewhere.test.\n";
    std::fs::write(&zone, text).expect("a file");
    let upstream = Upstream::start(|asked| {
        if asked.message.queries[0].name() == &name("www.elsewhere.test.") {
            return vec![asked.address(300)];
        }
        let mut reply = asked.reply();
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.add_authority(soa(30));
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &["--zone", zone.to_str().expect("UTF-8")]);
    let mut of_zone_only = query("out.example.test.");
    of_zone_only.metadata.recursion_desired = false;
    for _ in 0..2 {
        assert_eq!(gateway.ask(&of_zone_only).answers.len(), 1);
        let answer = gateway.ask(&query("out.example.test."));
        let kinds: Vec<_> = answer.answers.iter().map(Record::record_type).collect();
        assert_eq!(kinds, [RecordType::CNAME, RecordType::A]);
        assert!(answer.answers.iter().all(|record| record.ttl <= 60));
        let missing = gateway.ask(&query("lost.example.test."));
        assert_eq!(missing.response_code, ResponseCode::NXDomain);
        assert_eq!((missing.answers.len(), missing.authorities.len()), (1, 1));
    }
    assert_eq!(upstream.count(), 2);
    let mut alias = query("out.example.test.");
    alias.queries[0].set_query_type(RecordType::CNAME);
    assert_eq!(gateway.ask(&alias).answers.len(), 1);
    assert_eq!(upstream.count(), 2);
}

#[test]
fn who_does_not_want_others_to_be_asked_is_not_told_what_they_have_said() {
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let mut curious = query("a.test.");
    curious.metadata.recursion_desired = false;
    assert_eq!(gateway.ask(&curious).response_code, ResponseCode::Refused);
    gateway.ask(&query("a.test."));
    assert_eq!(gateway.ask(&curious).response_code, ResponseCode::Refused);
    assert_eq!(upstream.count(), 1);
}
