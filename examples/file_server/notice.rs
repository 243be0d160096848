//! The page of a status that has nothing else to show: HTML for who asks for it, plain text for everybody else.
//!
//! It says what the status means and nothing about the request: no path, no field, no cause.

use crate::coding::parse_member;
use crate::page;
use crate::reply::{Body, Reply, Status};

/// What such a page is depends on `Accept`, and on what may be otherwise at the next request.
pub(crate) const FIELDS: &str = "Vary: Accept\r\nCache-Control: no-cache\r\n";

impl Reply {
    /// Makes a page of its notice if the client prefers one by the head of its request.
    pub(crate) fn take_form_for(&mut self, head: &[u8]) {
        if matches!(self.body, Body::Notice(_)) && prefers_html(head) {
            self.body = Body::NoticePage(render(self.status));
        }
    }
}

/// Whether the client asks for HTML by name, and likes text no better. Who takes anything (curl, wget) gets text, which
/// reads well in a terminal. The head may be one that was refused.
fn prefers_html(head: &[u8]) -> bool {
    let (mut html, mut text, mut any_text, mut anything) = (None, None, None, None);
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let Some((name, list)) = line.split_at_checked(b"accept:".len()) else {
            continue;
        };
        if !name.eq_ignore_ascii_case(b"accept:") {
            continue;
        }
        let members = list.split(|&byte| byte == b',');
        for (range, weight) in members.filter_map(parse_member) {
            let place = match range.to_ascii_lowercase().as_slice() {
                b"text/html" => &mut html,
                b"text/plain" => &mut text,
                b"text/*" => &mut any_text,
                b"*/*" => &mut anything,
                _ => continue,
            };
            *place = Some(weight);
        }
    }
    let text = text.or(any_text).or(anything).unwrap_or(0);
    html.is_some_and(|html| html > 0 && html >= text)
}

fn render(status: Status) -> String {
    let mut html = String::with_capacity(8 * 1024);
    // Writing to a string cannot fail.
    let _ = page::begin(&mut html, status.line());
    html.push_str("<h1>");
    html.push_str(status.line());
    html.push_str("</h1>\n<p>");
    html.push_str(&as_sentence(status));
    html.push_str("</p>\n<p><a href=\"/\">To the top folder</a></p>\n");
    html.push_str(page::END);
    html
}

/// The text of a notice without the status at its beginning, with a capital.
fn as_sentence(status: Status) -> String {
    let text = status.notice().trim_end();
    let text = text.strip_prefix(status.line()).unwrap_or(text);
    let text = text.trim_start_matches([':', ' ']);
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: take `*/*` for a wish for HTML; forget the weight of HTML itself.
    #[test]
    fn a_page_is_for_who_names_html_and_likes_text_no_better() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
        for (accept, expected) in [
            (browser, true),
            ("TEXT/HTML", true),
            ("text/html;q=0.1", true),
            ("text/html, */*", true),
            ("text/html;q=0.5, text/plain", false),
            ("text/html;q=0.5, text/*", false),
            ("text/html;q=0.5, */*;q=0.6", false),
            ("text/html;q=0.5, text/*;q=0.4, */*", true),
            ("text/html;q=0", false),
            ("text/html;q=nonsense", false),
            ("*/*", false),
            ("text/*", false),
            ("application/json", false),
            ("", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: a\r\naccept: {accept}\r\n\r\n");
            assert_eq!(prefers_html(head.as_bytes()), expected, "{accept}");
        }
        assert!(!prefers_html(b"GET / HTTP/1.1\r\n\r\n"));
        assert!(!prefers_html(b"Accept: text/html\r\n"), "no request line");
        assert!(prefers_html(
            b"G\r\nAccept: image/png\r\nACCEPT: text/html\r\nX"
        ));
    }

    #[test]
    fn a_page_says_what_the_text_says_and_other_replies_stay_as_they_are() {
        let head = b"GET /<evil> HTTP/1.1\r\nAccept: text/html\r\n\r\n";
        let in_form = |status| {
            let mut reply = Reply::notice(status);
            reply.take_form_for(head);
            reply.body
        };
        let Body::NoticePage(html) = in_form(Status::NotFound) else {
            panic!("no page");
        };
        assert!(html.contains("<title>404 Not Found</title>"));
        assert!(
            html.contains("<h1>404 Not Found</h1>\n<p>There is nothing here under this name.</p>")
        );
        assert!(!html.contains("evil"));
        assert!(matches!(in_form(Status::NoContent), Body::Nothing));
    }
}
