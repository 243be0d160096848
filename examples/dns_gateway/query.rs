//! What a client asks, read from his packet without decoding it.

use hickory_proto::op;
use hickory_proto::op::ResponseCode;
use hickory_proto::serialize::binary::BinDecodable;

use crate::limits::{EDNS_BYTES, UDP_BYTES_MIN};
use crate::wire::{
    self, ADDITIONALS_AT, ANSWERS_AT, AUTHENTIC_DATA, AUTHORITIES_AT, CHECKING_DISABLED, CLASS_IN,
    CODES_AT, DNSSEC_OK, FLAGS_AT, HEADER_BYTES, NAME_BYTES_MAX, OPCODE, QUESTIONS_AT,
    RECURSION_DESIRED, RESPONSE, RawRecord, TYPE_ANY, TYPE_AXFR, TYPE_IXFR, TYPE_OPT,
};

/// A query that can be answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    packet: &'a [u8],
    question_end: usize,
    edns: Option<ClientEdns>,
}

/// What the client's OPT record says (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientEdns {
    /// Bytes of an answer by UDP that he takes, as he says it.
    pub(crate) bytes_max: u16,
    /// He wants DNSSEC's records.
    pub(crate) dnssec_ok: bool,
}

/// A packet that is no query to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// No answer is due: a response, or less than a header.
    Silently,
    /// The answer is this code.
    With {
        code: ResponseCode,
        /// Where the question ends that belongs into the answer; the end of the header if none does.
        question_end: usize,
        edns: Option<ClientEdns>,
    },
}

/// Bits of the last byte of a key, for what makes answers to one question differ.
const KEY_DNSSEC_OK: u8 = 1;
const KEY_CHECKING_DISABLED: u8 = 2;

/// Room for a key: a name, type, class, and a byte for the bits above.
const KEY_BYTES_MAX: usize = NAME_BYTES_MAX + 5;

/// The types between which and ANY are no types of records: what is asked with them are other services.
const TYPES_META_FIRST: u16 = 128;

/// By what answers are found in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    bytes: [u8; KEY_BYTES_MAX],
    length: usize,
}

impl Key {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<'a> Query<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    ///
    /// How it is rejected.
    pub(crate) fn read(packet: &'a [u8]) -> Result<Query<'a>, Rejected> {
        if packet.len() < HEADER_BYTES || packet[FLAGS_AT] & RESPONSE != 0 {
            return Err(Rejected::Silently);
        }
        if packet[FLAGS_AT] & OPCODE != 0 {
            return Err(Rejected::header(ResponseCode::NotImp));
        }
        let parts = Parts::of(packet).ok_or(Rejected::header(ResponseCode::FormErr))?;
        let Parts { question_end, edns } = parts;
        let query = Query {
            packet,
            question_end,
            edns: edns.map(|(edns, _)| edns),
        };
        if edns.is_some_and(|(_, version)| version > 0) {
            return Err(query.rejected(ResponseCode::BADVERS));
        }
        match query.refusal() {
            Some(code) => Err(query.rejected(code)),
            None => Ok(query),
        }
    }

    /// The query, answered with `code` and nothing else.
    pub(crate) fn rejected(&self, code: ResponseCode) -> Rejected {
        Rejected::With {
            code,
            question_end: self.question_end,
            edns: self.edns,
        }
    }

    /// The code for a question that is well-formed and not for us.
    fn refusal(&self) -> Option<ResponseCode> {
        let kind = self.kind();
        match kind {
            TYPE_AXFR | TYPE_IXFR => Some(ResponseCode::Refused),
            TYPE_OPT => Some(ResponseCode::FormErr),
            TYPES_META_FIRST..TYPE_ANY => Some(ResponseCode::NotImp),
            _ if self.class() != CLASS_IN => Some(ResponseCode::Refused),
            _ => None,
        }
    }

    /// The whole packet.
    pub(crate) fn packet(&self) -> &'a [u8] {
        self.packet
    }

    /// The question as the client has written it.
    pub(crate) fn question(&self) -> &'a [u8] {
        &self.packet[HEADER_BYTES..self.question_end]
    }

    /// The question decoded.
    pub(crate) fn decode(&self) -> Option<op::Query> {
        op::Query::from_bytes(self.question()).ok()
    }

    pub(crate) fn edns(&self) -> Option<ClientEdns> {
        self.edns
    }

    /// Whether he wants DNSSEC's records.
    pub(crate) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// Whether he would have answers that an upstream could not validate.
    pub(crate) fn checking_disabled(&self) -> bool {
        self.packet[CODES_AT] & CHECKING_DISABLED != 0
    }

    /// Whether he wants to know if an upstream has validated the answer (RFC 6840, 5.7).
    pub(crate) fn wants_authentic(&self) -> bool {
        self.dnssec_ok() || self.packet[CODES_AT] & AUTHENTIC_DATA != 0
    }

    /// Whether we are to ask others.
    pub(crate) fn recursion_desired(&self) -> bool {
        self.packet[FLAGS_AT] & RECURSION_DESIRED != 0
    }

    /// Bytes of an answer by UDP: what he takes, and no more than gets through.
    pub(crate) fn udp_bytes_max(&self) -> usize {
        usize::from(udp_bytes_max(self.edns))
    }

    /// By what the answer is found in the cache: names that differ in case have one answer.
    pub(crate) fn key(&self) -> Key {
        let question = self.question();
        let name_end = question.len() - 4;
        let mut key = Key {
            bytes: [0; KEY_BYTES_MAX],
            length: question.len() + 1,
        };
        key.bytes[..question.len()].copy_from_slice(question);
        // The lengths of labels are below any letter.
        key.bytes[..name_end].make_ascii_lowercase();
        key.bytes[question.len()] = match (self.dnssec_ok(), self.checking_disabled()) {
            (false, false) => 0,
            (true, false) => KEY_DNSSEC_OK,
            (false, true) => KEY_CHECKING_DISABLED,
            (true, true) => KEY_DNSSEC_OK | KEY_CHECKING_DISABLED,
        };
        key
    }

    fn kind(&self) -> u16 {
        wire::u16_at(self.packet, self.question_end - 4).unwrap_or_default()
    }

    fn class(&self) -> u16 {
        wire::u16_at(self.packet, self.question_end - 2).unwrap_or_default()
    }
}

/// Bytes of an answer by UDP to a client who says so much.
pub(crate) fn udp_bytes_max(edns: Option<ClientEdns>) -> u16 {
    edns.map_or(UDP_BYTES_MIN, |edns| {
        edns.bytes_max.clamp(UDP_BYTES_MIN, EDNS_BYTES)
    })
}

impl Rejected {
    /// With an answer that is a header only.
    fn header(code: ResponseCode) -> Rejected {
        Rejected::With {
            code,
            question_end: HEADER_BYTES,
            edns: None,
        }
    }
}

/// Where a packet's parts are, if it is well-formed.
struct Parts {
    question_end: usize,
    /// With the version of EDNS.
    edns: Option<(ClientEdns, u8)>,
}

impl Parts {
    fn of(packet: &[u8]) -> Option<Parts> {
        if wire::u16_at(packet, QUESTIONS_AT)? != 1 || wire::u16_at(packet, ANSWERS_AT)? != 0 {
            return None;
        }
        let question_end = wire::question_end(packet)?;
        let mut at = question_end;
        for _ in 0..wire::u16_at(packet, AUTHORITIES_AT)? {
            at = wire::record_at(packet, at)?.end;
        }
        let mut edns = None;
        for _ in 0..wire::u16_at(packet, ADDITIONALS_AT)? {
            let record = wire::record_at(packet, at)?;
            at = record.end;
            if record.kind == TYPE_OPT && edns.replace(read_opt(packet, record)?).is_some() {
                return None;
            }
        }
        (at == packet.len()).then_some(Parts { question_end, edns })
    }
}

/// Reads an OPT record and checks that its options are whole. What they say is of no use to us.
fn read_opt(packet: &[u8], record: RawRecord) -> Option<(ClientEdns, u8)> {
    let ttl = wire::u32_at(packet, record.ttl_at)?;
    let mut at = record.data_at;
    while at < record.end {
        at += 4 + usize::from(wire::u16_at(packet, at + 2)?);
    }
    let edns = ClientEdns {
        bytes_max: record.class,
        dnssec_ok: ttl & DNSSEC_OK != 0,
    };
    (record.of_root && at == record.end).then_some((edns, (ttl >> 16) as u8))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Edns, Message};
    use hickory_proto::rr::{Name, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn message(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.add_query(op::Query::query(
            Name::from_ascii(name).expect("a name"),
            kind,
        ));
        message
    }

    fn encoded(message: &Message) -> Vec<u8> {
        message.to_vec().expect("encodes")
    }

    fn code(packet: &[u8]) -> Option<ResponseCode> {
        match Query::read(packet) {
            Err(Rejected::With { code, .. }) => Some(code),
            _ => None,
        }
    }

    #[test]
    fn a_query_is_read_as_it_was_written() {
        let mut written = message("WwW.Example.", RecordType::AAAA);
        written.set_edns(Edns::new());
        written
            .edns
            .as_mut()
            .expect("set")
            .set_max_payload(4000)
            .set_dnssec_ok(true);
        let packet = encoded(&written);
        let query = Query::read(&packet).expect("a query");
        assert_eq!(query.decode().as_ref(), written.queries.first());
        assert_eq!(
            query.edns(),
            Some(ClientEdns {
                bytes_max: 4000,
                dnssec_ok: true
            })
        );
        assert_eq!(query.udp_bytes_max(), usize::from(EDNS_BYTES));
        assert!(!query.recursion_desired() && query.wants_authentic());
    }

    #[test]
    fn a_client_takes_512_bytes_at_least() {
        let sizes = [
            (None, 512),
            (Some(0), 512),
            (Some(600), 600),
            (Some(1232), 1232),
            (Some(9999), 1232),
        ];
        for (said, taken) in sizes {
            let edns = said.map(|bytes_max| ClientEdns {
                bytes_max,
                dnssec_ok: false,
            });
            assert_eq!(udp_bytes_max(edns), taken, "{said:?}");
        }
    }

    #[test]
    fn names_that_differ_in_case_have_one_key_and_types_that_look_like_letters_do_not() {
        let key = |name, kind| {
            let packet = encoded(&message(name, kind));
            Query::read(&packet)
                .expect("a query")
                .key()
                .as_bytes()
                .to_vec()
        };
        assert_eq!(key("a.Bc.", RecordType::A), key("A.bC.", RecordType::A));
        assert_ne!(key("a.", RecordType::A), key("b.", RecordType::A));
        // 0x41 and 0x61: as letters, they would differ in case only.
        assert_ne!(
            key("a.", RecordType::HTTPS),
            key("a.", RecordType::Unknown(97))
        );
    }

    #[test]
    fn what_is_no_query_for_us_gets_the_code_that_says_why() {
        let packet = encoded(&message("a.", RecordType::A));
        assert_eq!(code(&packet), None);
        let mut status = packet.clone();
        status[FLAGS_AT] |= 2 << 3;
        assert_eq!(code(&status), Some(ResponseCode::NotImp));
        assert_eq!(
            code(&encoded(&message("a.", RecordType::AXFR))),
            Some(ResponseCode::Refused)
        );
        assert_eq!(
            code(&encoded(&message("a.", RecordType::Unknown(250)))),
            Some(ResponseCode::NotImp)
        );
        let mut chaos = packet.clone();
        *chaos.last_mut().expect("a class") = 3;
        assert_eq!(code(&chaos), Some(ResponseCode::Refused));
        let mut new_edns = message("a.", RecordType::A);
        new_edns
            .set_edns(Edns::new())
            .edns
            .as_mut()
            .expect("set")
            .set_version(1);
        assert_eq!(code(&encoded(&new_edns)), Some(ResponseCode::BADVERS));
    }

    #[test]
    fn what_is_malformed_is_told_so_and_what_is_no_request_is_not_answered() {
        let packet = encoded(&message("a.", RecordType::A));
        for end in HEADER_BYTES..packet.len() {
            assert_eq!(
                code(&packet[..end]),
                Some(ResponseCode::FormErr),
                "{end} bytes"
            );
        }
        for end in 0..HEADER_BYTES {
            assert_eq!(
                Query::read(&packet[..end]).err(),
                Some(Rejected::Silently),
                "{end} bytes"
            );
        }
        let longer = [&packet[..], b"x"].concat();
        assert_eq!(code(&longer), Some(ResponseCode::FormErr));
        let mut two_questions = packet.clone();
        two_questions[QUESTIONS_AT + 1] = 2;
        assert_eq!(code(&two_questions), Some(ResponseCode::FormErr));
        let mut response = packet;
        response[FLAGS_AT] |= RESPONSE;
        assert_eq!(Query::read(&response).err(), Some(Rejected::Silently));
    }

    #[test]
    fn a_second_opt_record_or_one_that_is_not_the_roots_is_an_error() {
        let mut with_edns = message("a.", RecordType::A);
        with_edns.set_edns(Edns::new());
        let packet = encoded(&with_edns);
        let opt = packet[packet.len() - 11..].to_vec();
        let mut twice = [&packet[..], &opt].concat();
        twice[ADDITIONALS_AT + 1] = 2;
        assert_eq!(code(&twice), Some(ResponseCode::FormErr));
        let plain = encoded(&message("a.", RecordType::A));
        let mut named = [&plain[..], b"\x01a", &opt].concat();
        named[ADDITIONALS_AT + 1] = 1;
        assert_eq!(code(&named), Some(ResponseCode::FormErr));
        let mut half_option = [&plain[..], &opt[..9], b"\0\x03abc"].concat();
        half_option[ADDITIONALS_AT + 1] = 1;
        assert_eq!(code(&half_option), Some(ResponseCode::FormErr));
    }

    proptest! {
        /// Whatever comes is read without a panic, and what passes for a query here passes there too, with the same
        /// question. Mutant: take names of more than 255 bytes.
        #[test]
        fn what_is_taken_for_a_query_is_one(
            flags in any::<[u8; 2]>(),
            counts in prop::collection::vec(prop_oneof![4 => 0..2_u8, 1 => any::<u8>()], 4),
            rest in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..60),
        ) {
            let mut packet = vec![0, 1, flags[0] & !RESPONSE & !OPCODE, flags[1]];
            packet.extend(counts.iter().flat_map(|count| [0, *count]));
            packet.extend(rest);
            if let Ok(query) = Query::read(&packet) {
                let decoded = Message::from_vec(&packet);
                let decoded = decoded.map(|message| message.queries[0].clone());
                prop_assert_eq!(query.decode(), decoded.ok());
                prop_assert!(query.key().as_bytes().len() <= KEY_BYTES_MAX);
            }
        }

        /// A query with some of its bytes changed.
        #[test]
        fn a_damaged_query_is_no_reason_to_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut whole = message("www.example.", RecordType::TXT);
            whole.set_edns(Edns::new());
            let mut packet = encoded(&whole);
            for (place, byte) in changes {
                let place = place.index(packet.len());
                packet[place] = byte;
            }
            packet.truncate(cut.index(packet.len()) + 1);
            match Query::read(&packet) {
                Ok(query) => prop_assert!(query.question().len() < packet.len()),
                Err(rejected) => {
                    let reply = crate::answer::write_rejection(&packet, rejected);
                    if let Some(reply) = reply {
                        prop_assert!(Message::from_vec(&reply).is_ok());
                    }
                }
            }
        }
    }
}
