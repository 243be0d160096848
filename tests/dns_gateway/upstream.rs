//! How upstreams are asked, and whose replies are believed.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use hickory_proto::op::{Edns, OpCode, ResponseCode};
use hickory_proto::rr::rdata::AAAA;
use hickory_proto::rr::{Name, RData, Record};

use crate::support::{Asked, Client, Gateway, PATIENCE, Upstream, encode, name, query};

/// Mutant: ask from a port of one's choice.
#[test]
fn each_question_is_asked_from_another_port_with_another_id() {
    const QUESTIONS: usize = 64;
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let gateway = Gateway::of(&upstream, &[]);
    let client = Client::of(&gateway);
    for index in 0..QUESTIONS {
        client.ask(&query(&format!("host-{index}.test.")));
    }
    let asked = upstream.asked();
    let ports: HashSet<_> = asked.iter().map(|asked| asked.source.port()).collect();
    let ids: HashSet<_> = asked.iter().map(|asked| asked.message.id).collect();
    // By chance some may be the same.
    assert!(ports.len() > QUESTIONS / 2, "{} ports", ports.len());
    assert!(ids.len() > QUESTIONS * 3 / 4, "{} ids", ids.len());
    let edns = asked[0].message.edns.as_ref().expect("EDNS");
    assert_eq!(
        (edns.max_payload(), asked[0].message.recursion_desired),
        (1232, true)
    );
}

/// Mutants: compare neither id nor question; leave the socket unconnected; take a reply to a notification for one.
#[test]
fn a_reply_with_another_id_question_or_source_is_not_believed() {
    let upstream = Upstream::start(|asked| {
        let forged = asked.address(1);
        let mut other_id = forged.clone();
        other_id.metadata.id ^= 1;
        let mut other_kind = forged.clone();
        other_kind.metadata.op_code = OpCode::Notify;
        let mut other_question = forged.clone();
        other_question.queries[0].set_name(name("b.test."));
        let stranger = UdpSocket::bind("127.0.0.1:0").expect("a port");
        stranger
            .send_to(&encode(&forged), asked.source)
            .expect("sends");
        vec![other_id, other_kind, other_question, asked.address(300)]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let answer = gateway.ask(&query("a.test."));
    assert_eq!(answer.answers[0].ttl, 300);
    assert_eq!(gateway.counter("bad_replies"), 3);
}

/// Mutant: give up after one try.
#[test]
fn an_upstream_that_does_not_reply_is_asked_again() {
    let count = AtomicUsize::new(0);
    let upstream = Upstream::start(move |asked| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Vec::new(),
        _ => vec![asked.address(300)],
    });
    let gateway = Gateway::of(&upstream, &["--upstream-timeout-ms", "200"]);
    assert_eq!(gateway.ask(&query("a.test.")).answers.len(), 1);
    let asked = upstream.asked();
    assert_eq!(asked.len(), 3);
    assert_ne!(asked[0].source.port(), asked[1].source.port());
}

#[test]
fn where_no_upstream_replies_the_failure_comes_in_time_and_is_remembered() {
    let upstream = Upstream::start(|_| Vec::new());
    let gateway = Gateway::of(&upstream, &["--upstream-timeout-ms", "200"]);
    let begin = Instant::now();
    assert_eq!(
        gateway.ask(&query("a.test.")).response_code,
        ResponseCode::ServFail
    );
    assert!(begin.elapsed() < PATIENCE / 2, "{:?}", begin.elapsed());
    let asked = upstream.count();
    assert_eq!(
        gateway.ask(&query("a.test.")).response_code,
        ResponseCode::ServFail
    );
    assert_eq!((asked, upstream.count()), (3, 3));
    assert_eq!(gateway.counter("timeouts"), 3);
}

#[test]
fn the_next_upstream_is_asked_where_one_is_not_there() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = gone.local_addr().expect("an address").to_string();
    drop(gone);
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let second = upstream.address.to_string();
    let gateway = Gateway::start(&["--upstream", &address, "--upstream", &second]);
    assert_eq!(gateway.ask(&query("a.test.")).answers.len(), 1);
}

/// What all say is an answer after all.
///
/// Mutants: believe the first one; ask those that cannot tell once more; begin with one that could not tell.
#[test]
fn the_next_upstream_is_asked_where_one_cannot_tell() {
    for code in [ResponseCode::ServFail, ResponseCode::Refused] {
        let cannot_tell = move |asked: &Asked| {
            let mut reply = asked.reply();
            reply.metadata.response_code = code;
            vec![reply]
        };
        let first = Upstream::start(cannot_tell);
        let second = Upstream::start(move |asked| {
            match asked.message.queries[0].name() == &name("nobody.test.") {
                true => cannot_tell(asked),
                false => vec![asked.address(300)],
            }
        });
        let addresses = [&first, &second].map(|upstream| upstream.address.to_string());
        let gateway = Gateway::start(&["--upstream", &addresses[0], "--upstream", &addresses[1]]);
        assert_eq!(gateway.ask(&query("a.test.")).answers.len(), 1);
        assert_eq!((first.count(), second.count()), (1, 1));
        assert_eq!(gateway.ask(&query("nobody.test.")).response_code, code);
        assert_eq!((first.count(), second.count()), (2, 2));
        assert_eq!(gateway.ask(&query("b.test.")).answers.len(), 1);
        assert_eq!((first.count(), second.count()), (2, 3));
    }
}

/// Mutant: begin with the first one each time.
#[test]
fn the_one_that_has_replied_is_asked_first_from_then_on() {
    let silent = Upstream::start(|_| Vec::new());
    let upstream = Upstream::start(|asked| vec![asked.address(300)]);
    let addresses = [&silent, &upstream].map(|upstream| upstream.address.to_string());
    let gateway = Gateway::start(&[
        "--upstream",
        &addresses[0],
        "--upstream",
        &addresses[1],
        "--upstream-timeout-ms",
        "200",
    ]);
    for index in 0..8 {
        let answer = gateway.ask(&query(&format!("host-{index}.test.")));
        assert_eq!(answer.answers.len(), 1);
    }
    assert_eq!((silent.count(), upstream.count()), (1, 8));
}

/// It is a reply of its kind: whoever does not understand EDNS may return the header alone. But it also has a record, of
/// which a question could be read.
///
/// Mutant: keep a reply that has no question.
#[test]
fn a_reply_without_a_question_is_no_answer() {
    let upstream = Upstream::start(|asked| {
        if asked.message.edns.is_none() {
            return vec![asked.address(300)];
        }
        let mut reply = asked.reply();
        reply.queries.clear();
        reply.metadata.response_code = ResponseCode::FormErr;
        reply.edns = Some(Edns::new());
        let nowhere = RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 0));
        reply.add_answer(Record::from_rdata(Name::root(), 0, nowhere));
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let answer = gateway.ask(&query("a-name-that-is-longer-than-the-record.test."));
    assert_eq!(
        (answer.response_code, answer.answers.len()),
        (ResponseCode::NoError, 1)
    );
}

/// Mutant: clear the mark, and keep what has come as if it was whole.
#[test]
fn what_is_truncated_even_by_tcp_is_no_answer() {
    let upstream = Upstream::start(|asked| {
        let mut reply = asked.address(300);
        reply.metadata.truncation = true;
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let answer = gateway.ask(&query("a.test."));
    assert_eq!(answer.response_code, ResponseCode::ServFail);
}

#[test]
fn a_reply_that_is_truncated_is_fetched_by_tcp() {
    let upstream = Upstream::start(|asked| {
        let mut reply = asked.address(300);
        if !asked.by_tcp {
            reply.metadata.truncation = true;
            reply.answers.clear();
        }
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let answer = gateway.ask(&query("a.test."));
    assert!(!answer.truncation && answer.answers.len() == 1);
    assert_eq!(gateway.counter("asked_tcp"), 1);
}

#[test]
fn an_upstream_that_does_not_know_edns_is_asked_without() {
    let upstream = Upstream::start(|asked| {
        let mut reply = asked.address(300);
        reply.edns = None;
        if asked.message.edns.is_some() {
            reply.metadata.response_code = ResponseCode::FormErr;
            reply.answers.clear();
            reply.queries.clear();
        }
        vec![reply]
    });
    let gateway = Gateway::of(&upstream, &[]);
    let answer = gateway.ask(&query("a.test."));
    assert_eq!(
        (answer.response_code, answer.answers.len()),
        (ResponseCode::NoError, 1)
    );
}
