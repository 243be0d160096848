//! Base64, in which the browser sends its screenshots.

use crate::chore::Result;

pub(super) fn decode(text: &str) -> Result<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes().map(value_of);
    let digits = digits.collect::<Result<Vec<u32>>>()?;
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.chunks(4) {
        let word = four.iter().fold(0, |word, digit| word << 6 | digit);
        let word = word << (6 * (4 - four.len()));
        bytes.extend_from_slice(&word.to_be_bytes()[1..four.len()]);
    }
    Ok(bytes)
}

fn value_of(digit: u8) -> Result<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return Err(format!("{digit:#x} is no digit of base64")),
    };
    Ok(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_standard_shows_is_decoded() {
        for (text, expected) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text).unwrap(), expected.as_bytes());
        }
        assert_eq!(decode("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        assert!(decode("a b").is_err());
    }
}
