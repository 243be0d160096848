//! An answer as it is kept, and as it is sent to one client.
//!
//! Kept is the encoded message without its OPT record, with the places of its TTLs. What differs from
//! client to client is patched into a copy: id, flags, the question as he has written it, TTLs that grow
//! old, and an OPT record if he has sent one. So an answer from the cache is encoded once.

use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};

use crate::limits::EDNS_BYTES;
use crate::query::{ClientEdns, Query, Rejected, udp_bytes_max};
use crate::wire::{
    self, ADDITIONALS_AT, ANSWERS_AT, AUTHENTIC_DATA, AUTHORITIES_AT, CHECKING_DISABLED, CODES_AT,
    DNSSEC_OK, FLAGS_AT, HEADER_BYTES, OPCODE, QUESTIONS_AT, RECURSION_AVAILABLE,
    RECURSION_DESIRED, RESPONSE, TRUNCATED, TYPE_OPT,
};

/// An encoded answer.
#[derive(Debug)]
pub(crate) struct Answer {
    message: Box<[u8]>,
    /// Where the TTLs are that grow old: of an answer of our own none.
    ttls: Box<[u16]>,
    /// It comes from a zone of our own.
    is_ours: bool,
    born: Instant,
    lifetime: Duration,
}

/// Length of an OPT record without options.
const OPT_BYTES: usize = 11;

impl Answer {
    /// Encodes what a zone of our own says, which stays true as long as the program runs.
    pub(crate) fn of_zone(message: Message) -> Option<Answer> {
        let message = encode(message)?;
        Some(Answer {
            message: message.into(),
            ttls: Box::default(),
            is_ours: true,
            born: Instant::now(),
            lifetime: Duration::MAX,
        })
    }

    /// Encodes what an upstream says, for `lifetime` from now on: no TTL is longer.
    pub(crate) fn of_upstream(message: Message, lifetime: Duration) -> Option<Answer> {
        let mut message = encode(message)?;
        let ttls = ttl_places(&message)?;
        let most = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        for &place in &ttls {
            cap_ttl(&mut message, place, most);
        }
        Some(Answer {
            message: message.into(),
            ttls: ttls.into(),
            is_ours: false,
            born: Instant::now(),
            lifetime,
        })
    }

    /// An answer to `query` that is `code` and nothing else.
    pub(crate) fn failure(query: &Query<'_>, code: ResponseCode, lifetime: Duration) -> Answer {
        let mut message = vec![0; HEADER_BYTES];
        message[FLAGS_AT] = RESPONSE;
        message[CODES_AT] = code.low();
        message[QUESTIONS_AT + 1] = 1;
        message.extend_from_slice(query.question());
        Answer {
            message: message.into(),
            ttls: Box::default(),
            is_ours: false,
            born: Instant::now(),
            lifetime,
        }
    }

    /// Whether it comes from a zone of our own.
    pub(crate) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Whether it may no longer be given to anybody.
    pub(crate) fn has_expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.born) >= self.lifetime
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.message.len() + size_of_val::<[u16]>(&self.ttls)
    }

    /// The answer to `query`, whose question this answers, in no more than `bytes_max` bytes. If it
    /// needs more, it says that it is truncated and has no records.
    pub(crate) fn write(&self, query: &Query<'_>, now: Instant, bytes_max: usize) -> Vec<u8> {
        let opt_bytes = query.edns().map_or(0, |_| OPT_BYTES);
        let is_truncated = self.message.len() + opt_bytes > bytes_max;
        let question = query.question();
        let question_end = HEADER_BYTES + question.len();
        let taken = if is_truncated {
            question_end
        } else {
            self.message.len()
        };
        let mut reply = Vec::with_capacity(taken + opt_bytes);
        reply.extend_from_slice(&self.message[..taken]);
        reply[HEADER_BYTES..question_end].copy_from_slice(question);
        self.write_header(&mut reply, query);
        if is_truncated {
            reply[FLAGS_AT] |= TRUNCATED;
            reply[ANSWERS_AT..HEADER_BYTES].fill(0);
        } else {
            self.age(&mut reply, now);
        }
        if let Some(edns) = query.edns() {
            append_opt(&mut reply, edns, 0);
        }
        reply
    }

    /// Patches what the header takes from the query's.
    fn write_header(&self, reply: &mut [u8], query: &Query<'_>) {
        let packet = query.packet();
        reply[..2].copy_from_slice(&packet[..2]);
        reply[FLAGS_AT] &= !RECURSION_DESIRED;
        reply[FLAGS_AT] |= packet[FLAGS_AT] & RECURSION_DESIRED;
        reply[CODES_AT] &= !CHECKING_DISABLED;
        reply[CODES_AT] |= packet[CODES_AT] & CHECKING_DISABLED | RECURSION_AVAILABLE;
        if !query.wants_authentic() {
            reply[CODES_AT] &= !AUTHENTIC_DATA;
        }
    }

    fn age(&self, reply: &mut [u8], now: Instant) {
        let age = now.saturating_duration_since(self.born).as_secs();
        let age = u32::try_from(age).unwrap_or(u32::MAX);
        if age == 0 {
            return;
        }
        for &place in &self.ttls {
            let place = usize::from(place);
            let ttl = wire::u32_at(reply, place).unwrap_or_default();
            let left = ttl.saturating_sub(age);
            reply[place..place + 4].copy_from_slice(&left.to_be_bytes());
        }
    }
}

/// The answer to a packet that is rejected, if it gets one.
pub(crate) fn write_rejection(packet: &[u8], rejected: Rejected) -> Option<Vec<u8>> {
    let Rejected::With {
        code,
        question_end,
        edns,
    } = rejected
    else {
        return None;
    };
    let mut reply = packet[..question_end].to_vec();
    reply[FLAGS_AT] = RESPONSE | packet[FLAGS_AT] & (OPCODE | RECURSION_DESIRED);
    reply[CODES_AT] = RECURSION_AVAILABLE | packet[CODES_AT] & CHECKING_DISABLED | code.low();
    let questions = u8::from(question_end > HEADER_BYTES);
    reply[QUESTIONS_AT..HEADER_BYTES].fill(0);
    reply[QUESTIONS_AT + 1] = questions;
    if let Some(edns) = edns {
        append_opt(&mut reply, edns, code.high());
    }
    // A question alone always fits into what everybody takes.
    debug_assert!(reply.len() <= usize::from(udp_bytes_max(edns)));
    Some(reply)
}

/// Appends our OPT record, which follows the client's in what he wants of DNSSEC (RFC 3225, 3).
fn append_opt(reply: &mut Vec<u8>, edns: ClientEdns, code_high: u8) {
    let flags = if edns.dnssec_ok { DNSSEC_OK } else { 0 };
    let ttl = u32::from(code_high) << 24 | flags;
    reply.push(0);
    reply.extend_from_slice(&TYPE_OPT.to_be_bytes());
    reply.extend_from_slice(&EDNS_BYTES.to_be_bytes());
    reply.extend_from_slice(&ttl.to_be_bytes());
    reply.extend_from_slice(&[0, 0]);
    // There is no other place in a message for 65,536 records.
    let additionals = wire::u16_at(reply, ADDITIONALS_AT).unwrap_or_default() + 1;
    reply[ADDITIONALS_AT..HEADER_BYTES].copy_from_slice(&additionals.to_be_bytes());
}

/// A message that has one question, without what is between us and the upstream.
fn encode(mut message: Message) -> Option<Vec<u8>> {
    message.edns = None;
    message.signature = None;
    message.metadata.id = 0;
    message.metadata.truncation = false;
    message.to_vec().ok()
}

/// Where the TTLs of a message's records are.
fn ttl_places(message: &[u8]) -> Option<Vec<u16>> {
    let count = |at| wire::u16_at(message, at).map(usize::from);
    let records = count(ANSWERS_AT)? + count(AUTHORITIES_AT)? + count(ADDITIONALS_AT)?;
    let mut at = wire::question_end(message)?;
    let mut places = Vec::with_capacity(records);
    for _ in 0..records {
        let record = wire::record_at(message, at)?;
        places.push(u16::try_from(record.ttl_at).ok()?);
        at = record.end;
    }
    Some(places)
}

fn cap_ttl(message: &mut [u8], place: u16, most: u32) {
    let place = usize::from(place);
    let ttl = wire::u32_at(message, place).unwrap_or_default();
    message[place..place + 4].copy_from_slice(&ttl.min(most).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{self, Edns, MessageType, OpCode};
    use hickory_proto::rr::rdata::TXT;
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn question(name: &str) -> op::Query {
        op::Query::query(Name::from_ascii(name).expect("a name"), RecordType::TXT)
    }

    fn record(ttl: u32) -> Record {
        let name = Name::from_ascii("a.test.").expect("a name");
        Record::from_rdata(name, ttl, RData::TXT(TXT::new(vec!["x".repeat(100)])))
    }

    /// A reply with `count` records of some hundred bytes.
    fn reply(count: u32) -> Message {
        let mut reply = Message::new(7, MessageType::Response, OpCode::Query);
        reply.add_query(question("a.test."));
        reply.metadata.authentic_data = true;
        reply.add_answers((0..count).map(|index| record(100 + index)));
        reply
    }

    fn packet(edns: Option<u16>) -> Vec<u8> {
        let mut query = Message::query();
        query.metadata.id = 4711;
        query.metadata.recursion_desired = true;
        query.add_query(question("A.tesT."));
        if let Some(bytes) = edns {
            query
                .set_edns(Edns::new())
                .edns
                .as_mut()
                .expect("set")
                .set_max_payload(bytes);
        }
        query.to_vec().expect("encodes")
    }

    fn write(answer: &Answer, edns: Option<u16>, later: u64) -> Message {
        let packet = packet(edns);
        let query = Query::read(&packet).expect("a query");
        let now = answer.born + Duration::from_secs(later);
        let bytes = answer.write(&query, now, query.udp_bytes_max());
        assert!(bytes.len() <= query.udp_bytes_max());
        Message::from_vec(&bytes).expect("decodes")
    }

    fn ttls(message: &Message) -> Vec<u32> {
        message.answers.iter().map(|record| record.ttl).collect()
    }

    #[test]
    fn a_kept_answer_is_given_to_each_client_as_if_it_was_his_own() {
        let answer = Answer::of_upstream(reply(2), Duration::from_secs(200)).expect("encodes");
        let written = write(&answer, None, 0);
        assert_eq!(written.metadata.id, 4711);
        assert!(
            written.recursion_desired && written.recursion_available && !written.authentic_data
        );
        assert!(
            written.queries[0]
                .name()
                .eq_case(question("A.tesT.").name()),
            "his case"
        );
        assert_eq!(written.answers.len(), 2);
        assert!(written.edns.is_none());
        let edns = write(&answer, Some(1232), 0)
            .edns
            .expect("who sends one gets one");
        assert_eq!((edns.max_payload(), edns.version()), (EDNS_BYTES, 0));
    }

    #[test]
    fn ttls_grow_old_in_the_cache_and_are_no_longer_than_the_answer_lives() {
        let answer = Answer::of_upstream(reply(2), Duration::from_secs(100)).expect("encodes");
        assert_eq!(ttls(&write(&answer, None, 0)), [100, 100]);
        assert_eq!(ttls(&write(&answer, None, 30)), [70, 70]);
        assert_eq!(ttls(&write(&answer, None, 1000)), [0, 0]);
        assert!(!answer.has_expired(answer.born + Duration::from_secs(99)));
        assert!(answer.has_expired(answer.born + Duration::from_secs(100)));
    }

    #[test]
    fn what_our_own_zone_says_stays_as_it_is() {
        let answer = Answer::of_zone(reply(1)).expect("encodes");
        assert_eq!(ttls(&write(&answer, None, 1000)), [100]);
        assert!(!answer.has_expired(answer.born + Duration::from_secs(1 << 40)));
    }

    #[test]
    fn what_does_not_fit_is_truncated_and_has_no_records() {
        let answer = Answer::of_upstream(reply(8), Duration::from_secs(100)).expect("encodes");
        let cut = write(&answer, None, 0);
        assert!(cut.truncation && cut.answers.is_empty());
        assert_eq!(write(&answer, Some(1232), 0).answers.len(), 8);
        let cut = write(&answer, Some(600), 0);
        assert!(cut.truncation && cut.edns.is_some());
    }

    proptest! {
        /// Whatever an upstream sends is encoded or refused, and what is encoded can be written.
        #[test]
        fn no_reply_of_an_upstream_makes_us_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            later in 0..200_u64,
        ) {
            let mut bytes = reply(3).to_vec().expect("encodes");
            for (place, byte) in changes {
                let place = place.index(bytes.len() - HEADER_BYTES) + HEADER_BYTES;
                bytes[place] = byte;
            }
            // The question is compared before a reply is decoded.
            let question_end = HEADER_BYTES + 12;
            bytes[HEADER_BYTES..question_end].copy_from_slice(&packet(None)[HEADER_BYTES..question_end]);
            if let Ok(message) = Message::from_vec(&bytes) {
                let lifetime = crate::lifetime::of(&message);
                if let Some(answer) = Answer::of_upstream(message, lifetime) {
                    write(&answer, None, later);
                    write(&answer, Some(1232), later);
                }
            }
        }
    }
}
