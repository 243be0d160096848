//! The few answers of the status page: what is asked for, by whom it may be, and the heads.
//!
//! 1. Each connection is for one request, which its answer ends.
//! 2. Without `--status-anywhere` a request has to name this machine by its address or as localhost. A site that has its
//!    own name lead here, to have a browser on this machine read the status for it, is refused.
//! 3. The page loads nothing, and runs its own script only, which a nonce names. Nobody may put it into a frame.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use ringway::time::Instant;

use crate::clock;
use crate::limits::HeadLimits;
use crate::reply::{Body, Persistence, Reply, Status};
use crate::request::{self, Method, Refusal};

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Page,
    Events,
    Sample,
    /// Which methods there are.
    Options,
}

/// Reads a whole head.
pub(super) fn parse(
    head: &[u8],
    limits: &HeadLimits,
    from_anywhere: bool,
) -> Result<Asked, Status> {
    let request = request::parse(head, limits).map_err(|Refusal(status)| status)?;
    if !from_anywhere && !host(head).is_some_and(names_this_machine) {
        return Err(Status::Forbidden);
    }
    match (request.method, request.path) {
        (Method::Options, _) => Ok(Asked::Options),
        (_, b"/") => Ok(Asked::Page),
        (_, b"/events") => Ok(Asked::Events),
        (_, b"/sample") => Ok(Asked::Sample),
        _ => Err(Status::NotFound),
    }
}

/// The value of the field `Host`, of which there is one at most, or the head would have been refused.
fn host(head: &[u8]) -> Option<&str> {
    let head = str::from_utf8(head).ok()?;
    let mut fields = head.split("\r\n").filter_map(|line| line.split_once(':'));
    let (_, host) = fields.find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    Some(host.trim())
}

/// Whether a host, with or without a port, is an address or a name that no other machine can have.
fn names_this_machine(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let address = rest.split_once(']').map(|(address, _)| address);
        return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

/// The page, with its head.
pub(super) fn page(with_body: bool) -> Vec<u8> {
    let word = || RandomState::new().hash_one(0);
    let nonce = format!("{:016x}{:016x}", word(), word());
    let page = include_str!("page.html").replace("{nonce}", &nonce);
    let policy = format!(
        "Content-Security-Policy: default-src 'none'; script-src 'nonce-{nonce}'; \
         style-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"
    );
    whole("text/html; charset=utf-8", &policy, &page, with_body)
}

/// A reading, with its head.
pub(super) fn sample(sample: &str, with_body: bool) -> Vec<u8> {
    whole("application/json", "", sample, with_body)
}

/// The head of a stream of events, and how soon to come again when it breaks off.
pub(super) fn events(with_body: bool) -> Vec<u8> {
    let mut answer = head("text/event-stream", "") + "\r\n";
    if with_body {
        answer.push_str("retry: 1000\n\n");
    }
    answer.into_bytes()
}

/// An answer that is its status: what refuses a request, or has no more to say.
pub(super) fn notice(status: Status, with_body: bool) -> Vec<u8> {
    let reply = Reply::notice(status);
    let mut answer = Vec::new();
    clock::at(Instant::now(), |clock| {
        reply.write_head(&mut answer, clock.http(), Persistence::Close);
    });
    if let (Body::Notice(text), true) = (reply.body, with_body) {
        answer.extend_from_slice(text.as_bytes());
    }
    answer
}

fn whole(content_type: &str, fields: &str, body: &str, with_body: bool) -> Vec<u8> {
    let mut answer = head(content_type, fields);
    answer.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    if with_body {
        answer.push_str(body);
    }
    answer.into_bytes()
}

fn head(content_type: &str, fields: &str) -> String {
    clock::at(Instant::now(), |clock| {
        let date = clock.http();
        format!(
            "HTTP/1.1 200 OK\r\nDate: {date}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n\
         Cross-Origin-Resource-Policy: same-origin\r\n{fields}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_name_this_machine() {
        for host in [
            "localhost",
            "LocalHost:8081",
            "status.localhost:1",
            "127.0.0.1:8081",
            "[::1]:8081",
            "192.0.2.1",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8081",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "[evil]",
            "[::1",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    /// Mutant: the same nonce for every answer.
    #[test]
    fn the_page_has_a_nonce_of_its_own_each_time_and_no_other_script() {
        let text = || String::from_utf8(page(true)).expect("UTF-8");
        let nonce = |page: &str| {
            let after = page.split("script-src 'nonce-").nth(1).expect("a policy");
            after.split('\'').next().expect("its end").to_owned()
        };
        let (one, two) = (text(), text());
        assert_ne!(nonce(&one), nonce(&two));
        assert_eq!(one.matches("<script").count(), 1);
        let script = format!("<script nonce=\"{}\">", nonce(&one));
        let style = format!("<style nonce=\"{}\">", nonce(&one));
        assert!(one.contains(&script) && one.contains(&style));
        assert!(!one.contains("style=\""), "the policy forbids it");
        let loads = ["src=", "url(", "@import", "<link", "https://"];
        assert!(!loads.iter().any(|text| one.contains(text)));
    }
}
