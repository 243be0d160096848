//! `Accept-Encoding`: in which compressed forms a client takes a file (RFC 9110, section 12.5.3).
//!
//! Nothing is compressed here. What is sent in a coding lies beside its file as `name.br`,
//! `name.zst` or `name.gz`; see `site.rs` for when such a sibling is taken.

use crate::fields::Lists;

/// A coding of a file's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstandard,
    Gzip,
}

impl Coding {
    /// All of them, those that usually make the smallest files first.
    pub(crate) const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstandard, Coding::Gzip];

    /// As it stands in `Content-Encoding`.
    pub(crate) fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstandard => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What is appended to the name of a file to name its sibling.
    pub(crate) fn suffix(self) -> &'static [u8] {
        match self {
            Coding::Brotli => b".br",
            Coding::Zstandard => b".zst",
            Coding::Gzip => b".gz",
        }
    }

    fn named(token: &[u8]) -> Option<Coding> {
        // "x-gzip" is the old name (RFC 9110, 8.4.1.3).
        let is_old_gzip = token.eq_ignore_ascii_case(b"x-gzip");
        Coding::ALL
            .into_iter()
            .find(|coding| token.eq_ignore_ascii_case(coding.token().as_bytes()))
            .or(is_old_gzip.then_some(Coding::Gzip))
    }
}

/// The codings that a client takes, those that it likes best first; none if it takes files as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codings([Option<Coding>; 3]);

impl Codings {
    /// See [`acceptable`].
    pub(crate) fn of(accept_encoding: &Lists<'_>) -> Codings {
        let mut codings = Codings::default();
        for (place, coding) in codings.0.iter_mut().zip(acceptable(accept_encoding)) {
            *place = Some(coding);
        }
        codings
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Codings::default()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Coding> {
        self.0.into_iter().flatten()
    }

    /// A number of its own for each, with two bits for each place.
    pub(crate) fn number(self) -> u8 {
        let digit = |coding: Option<Coding>| coding.map_or(0, |coding| coding as u8 + 1);
        self.0
            .into_iter()
            .fold(0, |number, coding| number << 2 | digit(coding))
    }
}

/// A weight in thousandths; 0 means "not acceptable".
pub(crate) type Weight = u16;

/// The codings that a client takes, with the one that it likes best first. Of equal weight, the
/// order is that of [`Coding::ALL`].
///
/// A coding that is less welcome than the file as it is is left out: it need not be looked for. The
/// file as it is is always the last resort, even for a client that refuses it; the standard allows
/// that.
pub(crate) fn acceptable(accept_encoding: &Lists<'_>) -> impl Iterator<Item = Coding> + use<> {
    let weights = Weights::of(accept_encoding);
    let mut left: [Option<(Weight, Coding)>; 3] = Coding::ALL.map(|coding| {
        let weight = weights.weight(coding);
        (weight > 0 && weight >= weights.identity.unwrap_or(0)).then_some((weight, coding))
    });
    std::iter::from_fn(move || {
        let weight = |entry: &Option<(Weight, Coding)>| entry.map_or(0, |(weight, _)| weight);
        // The last of equal ones is the greatest, so those that come first have to be last.
        let best = left.iter_mut().rev().max_by_key(|entry| weight(entry))?;
        best.take().map(|(_, coding)| coding)
    })
}

/// What the field says of each coding. What it does not name has the weight of `*`.
#[derive(Debug, Default)]
struct Weights {
    named: [Option<Weight>; 3],
    identity: Option<Weight>,
    others: Option<Weight>,
}

impl Weights {
    fn of(accept_encoding: &Lists<'_>) -> Weights {
        let mut weights = Weights::default();
        let members = accept_encoding
            .iter()
            .flat_map(|list| list.split(|&byte| byte == b','));
        // A member that is malformed counts as not there.
        for (token, weight) in members.filter_map(parse_member) {
            if let Some(coding) = Coding::named(token) {
                weights.named[coding as usize] = Some(weight);
            } else if token.eq_ignore_ascii_case(b"identity") {
                weights.identity = Some(weight);
            } else if token == b"*" {
                weights.others = Some(weight);
            }
        }
        weights
    }

    fn weight(&self, coding: Coding) -> Weight {
        self.named[coding as usize].or(self.others).unwrap_or(0)
    }
}

/// Splits `gzip;q=0.5`.
pub(crate) fn parse_member(member: &[u8]) -> Option<(&[u8], Weight)> {
    let mut parts = member
        .splitn(2, |&byte| byte == b';')
        .map(<[u8]>::trim_ascii);
    let token = parts.next().filter(|token| !token.is_empty())?;
    let weight = match parts.next() {
        None => 1_000,
        Some(parameter) => parse_weight(parameter)?,
    };
    Some((token, weight))
}

/// `q=` and a number from 0 to 1 with at most three decimals (RFC 9110, 12.4.2).
fn parse_weight(parameter: &[u8]) -> Option<Weight> {
    let [b'q' | b'Q', b'=', number @ ..] = parameter else {
        return None;
    };
    let (whole, decimals) = match number {
        [whole] => (whole, b"".as_slice()),
        [whole, b'.', decimals @ ..] => (whole, decimals),
        _ => return None,
    };
    let thousandths = decimals
        .iter()
        .map(|digit| digit.is_ascii_digit().then(|| Weight::from(digit - b'0')))
        .zip([100, 10, 1])
        .try_fold(0, |sum, (digit, place)| Some(sum + digit? * place))?;
    match (whole, decimals.len(), thousandths) {
        (b'0', 0..=3, thousandths) => Some(thousandths),
        (b'1', 0..=3, 0) => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn codings(values: &[&str]) -> Vec<&'static str> {
        let mut lists = Lists::default();
        for value in values {
            lists.add(value.as_bytes());
        }
        acceptable(&lists).map(Coding::token).collect()
    }

    /// Mutant: count the codings without their order.
    #[test]
    fn each_choice_of_codings_has_a_number_of_its_own() {
        let mut choices = vec![Codings::default()];
        for first in Coding::ALL.map(Some) {
            choices.push(Codings([first, None, None]));
            for second in Coding::ALL.map(Some) {
                choices.push(Codings([first, second, None]));
                choices.extend(Coding::ALL.map(|third| Codings([first, second, Some(third)])));
            }
        }
        let numbers: HashSet<u8> = choices.iter().map(|choice| choice.number()).collect();
        assert_eq!(numbers.len(), choices.len());
    }

    /// Mutant: `q=0` taken for "a little".
    #[test]
    fn codings_come_by_weight_and_refused_ones_do_not_come() {
        let table: [(&[&str], &[&str]); 24] = [
            (&[], &[]),
            (&[""], &[]),
            (&["gzip"], &["gzip"]),
            (&["GZip"], &["gzip"]),
            (&["x-gzip"], &["gzip"]),
            (&["gzip, deflate, br, zstd"], &["br", "zstd", "gzip"]),
            (&["gzip", "br"], &["br", "gzip"]),
            (&["gzip;q=1.0, br;q=0.5"], &["gzip", "br"]),
            (&["gzip ; q=0.001 ,br ; Q=0.002"], &["br", "gzip"]),
            (&["br;q=0, gzip"], &["gzip"]),
            (&["br;q=0.000, *"], &["zstd", "gzip"]),
            (&["*"], &["br", "zstd", "gzip"]),
            (&["*;q=0"], &[]),
            (&["*;q=0, gzip"], &["gzip"]),
            (&["gzip, *;q=0.5"], &["gzip", "br", "zstd"]),
            (&["identity"], &[]),
            (&["identity, gzip"], &["gzip"]),
            (&["identity, gzip;q=0.9"], &[]),
            (&["identity;q=0.5, gzip;q=0.9, br;q=0.4"], &["gzip"]),
            (&["identity;q=0, gzip;q=0.1"], &["gzip"]),
            (&["deflate, compress"], &[]),
            (&["gzip;q=2, br;q=-1, zstd;q=0.1234"], &[]),
            (&["gzip;level=9, br;q=, zstd;q=1.001"], &[]),
            (&["gzip;q=0.5x, ;q=1, br;q=.5, zstd;q=1."], &["zstd"]),
        ];
        for (values, expected) in table {
            assert_eq!(codings(values), expected, "{values:?}");
        }
    }

    #[test]
    fn weights_have_at_most_three_decimals_and_are_at_most_one() {
        for (text, expected) in [
            ("q=0", Some(0)),
            ("q=1", Some(1_000)),
            ("q=0.", Some(0)),
            ("q=0.5", Some(500)),
            ("q=0.05", Some(50)),
            ("q=0.123", Some(123)),
            ("q=1.000", Some(1_000)),
            ("q=1.0000", None),
            ("q=0.0000", None),
            ("q=1.1", None),
            ("q=2", None),
            ("q=10", None),
            ("q = 1", None),
            ("q", None),
            ("", None),
        ] {
            assert_eq!(parse_weight(text.as_bytes()), expected, "{text}");
        }
    }
}
