//! How long an upstream's reply may be kept.

use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use crate::limits::{FAILURE_LIFETIME, LIFETIME_MAX, NEGATIVE_LIFETIME_MAX};

/// How long `reply` may be given to others. Zero: not at all.
pub(crate) fn of(reply: &Message) -> Duration {
    match reply.response_code {
        ResponseCode::NoError if has_what_was_asked_for(reply) => of_records(reply),
        ResponseCode::NoError | ResponseCode::NXDomain => of_absence(reply),
        _ => FAILURE_LIFETIME,
    }
}

/// Whether there is a record of the type that was asked for. What leads to it, by CNAME, is there too.
fn has_what_was_asked_for(reply: &Message) -> bool {
    let asked = reply.queries.first().map(|query| query.query_type());
    let is_asked = |record: &Record| {
        let kind = record.record_type();
        asked == Some(kind) || asked == Some(RecordType::ANY)
    };
    reply.answers.iter().any(is_asked)
}

/// All records are kept together, and so as long as the one that is first to go.
fn of_records(reply: &Message) -> Duration {
    let least = reply.all_sections().map(ttl).min().unwrap_or_default();
    least.min(LIFETIME_MAX)
}

/// That there is nothing is kept as long as the SOA record says (RFC 2308, 5), without one not at all.
fn of_absence(reply: &Message) -> Duration {
    let of_zone = |record: &Record| match &record.data {
        RData::SOA(soa) => Some(ttl(record).min(seconds(soa.minimum))),
        _ => None,
    };
    match reply.authorities.iter().find_map(of_zone) {
        Some(lifetime) => lifetime.min(of_records(reply)).min(NEGATIVE_LIFETIME_MAX),
        None => Duration::ZERO,
    }
}

fn ttl(record: &Record) -> Duration {
    seconds(record.ttl)
}

/// A TTL with its highest bit set is none (RFC 2181, 8).
fn seconds(ttl: u32) -> Duration {
    match i32::try_from(ttl) {
        Ok(ttl) => Duration::from_secs(u64::from(ttl.unsigned_abs())),
        Err(_) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{MessageType, OpCode, Query};
    use hickory_proto::rr::Name;
    use hickory_proto::rr::rdata::{A, CNAME, SOA};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn reply(code: ResponseCode) -> Message {
        let mut reply = Message::new(0, MessageType::Response, OpCode::Query);
        reply.add_query(Query::query(name("www.a."), RecordType::A));
        reply.metadata.response_code = code;
        reply
    }

    fn address(ttl: u32) -> Record {
        Record::from_rdata(name("www.a."), ttl, RData::A(A::new(192, 0, 2, 1)))
    }

    fn soa(ttl: u32, minimum: u32) -> Record {
        let soa = SOA::new(name("ns.a."), name("admin.a."), 1, 2, 3, 4, minimum);
        Record::from_rdata(name("a."), ttl, RData::SOA(soa))
    }

    fn seconds_of(reply: &Message) -> u64 {
        of(reply).as_secs()
    }

    #[test]
    fn records_live_as_long_as_the_first_of_them_to_go() {
        let mut reply = reply(ResponseCode::NoError);
        reply.add_answer(address(300)).add_answer(address(20));
        assert_eq!(seconds_of(&reply), 20);
        reply.add_additional(address(0));
        assert_eq!(seconds_of(&reply), 0);
    }

    #[test]
    fn nothing_lives_as_long_as_the_least_of_what_the_soa_record_says() {
        for code in [ResponseCode::NoError, ResponseCode::NXDomain] {
            for (ttl, minimum, least) in
                [(300, 60, 60), (30, 60, 30), (1 << 20, 1 << 20, 3 * 60 * 60)]
            {
                let mut reply = reply(code);
                reply.add_authority(soa(ttl, minimum));
                assert_eq!(seconds_of(&reply), least, "{code}");
            }
            assert_eq!(seconds_of(&reply(code)), 0, "{code} without an SOA record");
        }
    }

    #[test]
    fn a_cname_to_a_name_without_such_records_is_nothing() {
        let mut reply = reply(ResponseCode::NoError);
        let cname = RData::CNAME(CNAME(name("else.a.")));
        reply.add_answer(Record::from_rdata(name("www.a."), 300, cname));
        assert_eq!(seconds_of(&reply), 0);
        reply.add_authority(soa(200, 100));
        assert_eq!(seconds_of(&reply), 100);
    }

    #[test]
    fn a_failure_is_remembered_for_seconds_and_nothing_for_longer_than_a_day() {
        assert_eq!(of(&reply(ResponseCode::ServFail)), FAILURE_LIFETIME);
        assert_eq!(of(&reply(ResponseCode::Refused)), FAILURE_LIFETIME);
        let mut reply = reply(ResponseCode::NoError);
        reply.add_answer(address(i32::MAX.unsigned_abs()));
        assert_eq!(of(&reply), LIFETIME_MAX);
        reply.answers[0].ttl = 1 << 31;
        assert_eq!(seconds_of(&reply), 0, "a negative number");
    }
}
