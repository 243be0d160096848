//! `Accept-Encoding`, against weights as fractions.

use proptest::prelude::*;

use super::{joined, judge_cases};
use crate::coding::{Coding, acceptable};
use crate::fields::Lists;

const PIECES: &[&[u8]] = &[
    b"gzip",
    b"br",
    b"zstd",
    b"x-gzip",
    b"GZIP",
    b"identity",
    b"*",
    b"deflate",
    b",",
    b",",
    b",",
    b";q=",
    b";q=",
    b"; Q=",
    b"0",
    b"1",
    b"0.5",
    b"0.501",
    b".",
    b"1.000",
    b"0.0000",
    b" ",
    b";",
    b"q",
    b"\xff",
];

/// Mutants: `q=0` as "a little"; `*` that overrides what is named; a sibling preferred to a file that
/// is more welcome.
#[test]
fn codings_are_chosen_by_their_weights() {
    let lists = prop::collection::vec(joined(PIECES, 0..12), 0..3);
    judge_cases("codings", lists, |values| {
        let mut lists = Lists::default();
        for value in &values {
            lists.add(value);
        }
        let chosen: Vec<&str> = acceptable(&lists).map(Coding::token).collect();
        prop_assert_eq!(&chosen, &expected(&values));
        Ok(!chosen.is_empty())
    });
}

fn expected(values: &[Vec<u8>]) -> Vec<&'static str> {
    let everything = values.join(&b","[..]);
    let members: Vec<(String, f64)> = everything
        .split(|&byte| byte == b',')
        .filter_map(member)
        .collect();
    // The last of equal names counts.
    let said = |name: &str| {
        members
            .iter()
            .rev()
            .find(|(named, _)| named == name)
            .map(|&(_, weight)| weight)
    };
    let identity = said("identity").unwrap_or(0.0);
    let mut welcome: Vec<(&str, f64)> = ["br", "zstd", "gzip"]
        .into_iter()
        .map(|name| (name, said(name).or(said("*")).unwrap_or(0.0)))
        .filter(|&(_, weight)| weight > 0.0 && weight >= identity)
        .collect();
    // It is stable: of equal ones the order stays.
    welcome.sort_by(|a, b| b.1.total_cmp(&a.1));
    welcome.into_iter().map(|(name, _)| name).collect()
}

fn member(member: &[u8]) -> Option<(String, f64)> {
    let text: String = member.iter().copied().map(char::from).collect();
    let (name, parameter) = match text.find(';') {
        Some(at) => (
            text[..at].to_owned(),
            Some(text[at + 1..].trim_matches(BLANK).to_owned()),
        ),
        None => (text, None),
    };
    let name = name.trim_matches(BLANK).to_ascii_lowercase();
    if name.is_empty() {
        return None;
    }
    let name = if name == "x-gzip" {
        "gzip".to_owned()
    } else {
        name
    };
    match parameter {
        None => Some((name, 1.0)),
        Some(parameter) => {
            let digits = parameter
                .strip_prefix("q=")
                .or(parameter.strip_prefix("Q="))?;
            let point = digits.find('.').unwrap_or(digits.len());
            let is_number = digits
                .chars()
                .all(|digit| digit == '.' || digit.is_ascii_digit());
            let is_short = point == 1 && digits.len() <= 5 && digits.matches('.').count() <= 1;
            let weight: f64 = (is_number && is_short).then(|| digits.parse().ok())??;
            (weight <= 1.0).then_some((name, weight))
        }
    }
}

const BLANK: [char; 5] = [' ', '\t', '\n', '\r', '\x0c'];
