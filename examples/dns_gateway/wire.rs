//! The little of the wire format that is read and changed in place, where decoding a message would cost
//! more than answering it.

/// Length of a message's header (RFC 1035, 4.1.1).
pub(crate) const HEADER_BYTES: usize = 12;

/// Length of a name, at most (RFC 1035, 3.1).
pub(crate) const NAME_BYTES_MAX: usize = 255;

/// Places in the header.
pub(crate) const FLAGS_AT: usize = 2;
pub(crate) const CODES_AT: usize = 3;
pub(crate) const QUESTIONS_AT: usize = 4;
pub(crate) const ANSWERS_AT: usize = 6;
pub(crate) const AUTHORITIES_AT: usize = 8;
pub(crate) const ADDITIONALS_AT: usize = 10;

/// Bits of the byte at [`FLAGS_AT`].
pub(crate) const RESPONSE: u8 = 0x80;
pub(crate) const OPCODE: u8 = 0x78;
pub(crate) const TRUNCATED: u8 = 0x02;
pub(crate) const RECURSION_DESIRED: u8 = 0x01;

/// Bits of the byte at [`CODES_AT`].
pub(crate) const RECURSION_AVAILABLE: u8 = 0x80;
pub(crate) const AUTHENTIC_DATA: u8 = 0x20;
pub(crate) const CHECKING_DISABLED: u8 = 0x10;
pub(crate) const RESPONSE_CODE: u8 = 0x0f;

/// Types and a class that are treated by their numbers.
pub(crate) const TYPE_OPT: u16 = 41;
pub(crate) const TYPE_IXFR: u16 = 251;
pub(crate) const TYPE_AXFR: u16 = 252;
pub(crate) const TYPE_ANY: u16 = 255;
pub(crate) const CLASS_IN: u16 = 1;

/// The bit of an OPT record's TTL that asks for DNSSEC's records (RFC 3225).
pub(crate) const DNSSEC_OK: u32 = 0x8000;

/// Length of type and class after the name of a question.
const QUESTION_REST_BYTES: usize = 4;

/// Length of type, class, TTL and data length after the name of a record.
const RECORD_REST_BYTES: usize = 10;

/// The two highest bits of a label's length that make it a pointer (RFC 1035, 4.1.4).
const POINTER: u8 = 0xc0;

/// A record that was not decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord {
    /// It belongs to the root, as OPT has to.
    pub(crate) of_root: bool,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) ttl_at: usize,
    /// Where its data begin.
    pub(crate) data_at: usize,
    /// Where the next record begins.
    pub(crate) end: usize,
}

pub(crate) fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

pub(crate) fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// The end of the first question, whose name is whole: nothing stands before it that it could point to.
pub(crate) fn question_end(message: &[u8]) -> Option<usize> {
    let mut at = HEADER_BYTES;
    loop {
        let length = *message.get(at)?;
        if length & POINTER != 0 {
            return None;
        }
        at += 1 + usize::from(length);
        if at - HEADER_BYTES > NAME_BYTES_MAX {
            return None;
        }
        if length == 0 {
            break;
        }
    }
    let end = at + QUESTION_REST_BYTES;
    (end <= message.len()).then_some(end)
}

/// The record at `at`.
pub(crate) fn record_at(message: &[u8], at: usize) -> Option<RawRecord> {
    let rest = name_end(message, at)?;
    let data_at = rest + RECORD_REST_BYTES;
    let end = data_at + usize::from(u16_at(message, rest + 8)?);
    (end <= message.len()).then_some(RawRecord {
        of_root: rest == at + 1,
        kind: u16_at(message, rest)?,
        class: u16_at(message, rest + 2)?,
        ttl_at: rest + 4,
        data_at,
        end,
    })
}

/// The end of a name that may end with a pointer. Where that points to is not looked at.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = *message.get(at)?;
        match length & POINTER {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(length),
            POINTER => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rest: &[u8]) -> Vec<u8> {
        [&[0; HEADER_BYTES], rest].concat()
    }

    #[test]
    fn a_question_ends_after_its_class() {
        let whole = message(b"\x01a\x02bc\0\0\x01\0\x01rest");
        assert_eq!(question_end(&whole), Some(HEADER_BYTES + 10));
        assert_eq!(
            question_end(&message(b"\0\0\x01\0\x01")),
            Some(HEADER_BYTES + 5)
        );
        for bad in [
            &b""[..],
            b"\x01a\0\0\x01\0",
            b"\x05a\0\0\x01\0\x01",
            b"\xc0\x0c\0\x01\0\x01",
            b"\x41a\0\x01\0\x01",
        ] {
            assert_eq!(question_end(&message(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_of_a_question_has_255_bytes_at_most() {
        let name = |last: u8| {
            let mut name = [&[63; 64][..], &[63; 64], &[63; 64]].concat();
            name.push(last);
            name.extend(vec![b'x'; usize::from(last)]);
            name.extend([0, 0, 1, 0, 1]);
            message(&name)
        };
        assert!(question_end(&name(61)).is_some());
        assert!(question_end(&name(62)).is_none());
    }

    #[test]
    fn a_record_is_measured_and_not_decoded() {
        let record = record_at(b"\xc0\x0c\0\x01\0\x02\0\0\0\x07\0\x03abcd", 0).expect("whole");
        assert_eq!((record.kind, record.class), (1, 2));
        assert_eq!((record.ttl_at, record.data_at, record.end), (6, 12, 15));
        assert!(!record.of_root);
        assert!(
            record_at(b"\0\0\x29\x04\xd0\0\0\0\0\0\0", 0)
                .expect("whole")
                .of_root
        );
        assert!(record_at(b"\xc0\x0c\0\x01\0\x02\0\0\0\x07\0\x03ab", 0).is_none());
        assert!(record_at(b"\x80\x0c\0\x01\0\x02\0\0\0\x07\0\0", 0).is_none());
        assert!(record_at(b"\xc0", 0).is_none());
    }
}
