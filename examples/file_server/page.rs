//! What the pages of this server look like, and the fields that they come with.
//!
//! A page runs no script, loads nothing, and cannot be put into a frame: whatever a file's name might do to it in spite
//! of the escaping stays without effect. Its one style sheet stands in the page itself, and the policy names it by its
//! hash, so that no other style counts.

use std::fmt::{self, Display, Write};

/// The fields of a page, but for what concerns its length. It changes with the directory, or with whatever made it a
/// page of an error.
pub(crate) const FIELDS: &str = "Content-Type: text/html; charset=utf-8\r\n\
    Content-Security-Policy: default-src 'none'; \
    style-src 'sha256-OaA7S0DVTQjJHq9pK9KcreslIb/KjCjxEYFeTJCQpF0='; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Referrer-Policy: no-referrer\r\n";

/// Writes what comes before the content of a page. `title` is escaped by its own `Display`.
pub(crate) fn begin(page: &mut impl Write, title: impl Display) -> fmt::Result {
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// What comes after the content.
pub(crate) const END: &str = "</main>\n</body>\n</html>\n";

/// Icons are shapes cut out of a coloured square, which needs no image and so no leave to load one.
const STYLE: &str = r#"
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1d2126; --soft: #5c636d; --line: #e3e6ea; --hover: #f2f5fa;
  --link: #0b57d0; --folder: #d4931a; --file: #8a929d; --note: #fff6dc
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e6e8eb; --soft: #a2a9b3; --line: #2c3138; --hover: #1e2329;
    --link: #8ab4f8; --folder: #e0b04a; --file: #7f8893; --note: #332b14
  }
}
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 64rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { margin: 0 .5rem; font-size: 1.375rem; line-height: 1.4; overflow-wrap: anywhere }
h1 a { display: inline-block; padding: .375rem .125rem }
h1 a[aria-current] { color: var(--ink) }
p { margin: .25rem .625rem 1rem; color: var(--soft) }
p.note { padding: .75rem 1rem; margin-inline: .5rem; border-radius: .5rem; background: var(--note); color: var(--ink) }
a { color: var(--link); text-decoration: none }
a:hover { text-decoration: underline }
a:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; border-radius: .375rem }
table { width: 100%; border-collapse: collapse }
th { padding: 0; font-size: .875rem; font-weight: 600; text-align: left; white-space: nowrap; color: var(--soft) }
th a { color: inherit }
th a, th > span { display: block; padding: .625rem }
th[aria-sort] a { color: var(--ink) }
th[aria-sort=ascending] a::after { content: " \2191"; content: " \2191" / "" }
th[aria-sort=descending] a::after { content: " \2193"; content: " \2193" / "" }
td { padding: .625rem; color: var(--soft); vertical-align: top }
tr > :nth-child(n + 2) { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
tr > :nth-child(2) { width: 7rem }
tr > :nth-child(3) { width: 11rem }
tbody tr { border-top: 1px solid var(--line) }
tbody tr:hover { background: var(--hover) }
td:first-child { padding: 0 }
td:first-child a { display: flex; gap: .75rem; align-items: flex-start; padding: .625rem }
bdi { min-width: 0; overflow-wrap: anywhere; white-space: pre-wrap }
td a::before {
  content: ""; flex: none; width: 20px; height: 20px; margin-top: .125rem; background: var(--file);
  clip-path: path(evenodd, "M5 2h7l4 4v11a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V3a1 1 0 0 1 1-1ZM11.5 3.5v3h3Z")
}
.up a::before { clip-path: path("M10 3l6 6h-4v8H8V9H4Z") }
.dir a::before {
  background: var(--folder);
  clip-path: path("M2 4.5A1.5 1.5 0 0 1 3.5 3h4l2 2h7A1.5 1.5 0 0 1 18 6.5v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 2 15.5Z")
}
.img a::before {
  clip-path: path(evenodd, "M3 3h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1ZM4 14.5h12l-4-6-3 4-2-2ZM6 5.5a1.5 1.5 0 1 0 .01 0Z")
}
.av a::before {
  clip-path: path(evenodd, "M3 3h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1ZM8 6.5v7l6-3.5Z")
}
.zip a::before { clip-path: path(evenodd, "M2 3h16v4H2ZM3 8h14v9H3ZM8 10h4v1.5H8Z") }
@media (max-width: 40rem) {
  main { padding: .75rem .5rem 2rem }
  thead tr { display: flex }
  thead th:first-child { flex: 1 }
  tr > :nth-child(n + 2) { width: auto }
  tbody tr { display: grid; position: relative; grid-template-columns: 1fr auto; font-size: .875rem }
  td:first-child { grid-column: 1 / -1; font-size: 1rem }
  td:first-child a { padding-bottom: 0 }
  td a::after { content: ""; position: absolute; inset: 0 }
  td:nth-child(n + 2) { grid-area: 2 / 2; padding-top: 0 }
  td:nth-child(3) { grid-area: 2 / 1; text-align: left; padding-left: calc(.625rem + 20px + .75rem) }
  tr.up td:first-child a { padding-bottom: .625rem }
  tr.up td:nth-child(n + 2) { display: none }
}
"#;

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    /// A browser would show the page without any style.
    ///
    /// Mutant: a blank more in the style sheet.
    #[test]
    fn the_policy_names_the_style_sheet_by_its_hash() {
        let digest = sha256_base64(STYLE.as_bytes());
        assert!(
            FIELDS.contains(&format!("'sha256-{digest}'")),
            "the hash in FIELDS must be {digest}"
        );
    }

    #[test]
    fn the_style_sheet_cannot_end_its_element_nor_load_anything() {
        for word in ["</", "url(", "@import", "src"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }

    fn sha256_base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        // 32 bytes are ten times three and two more: 43 digits, and one to fill the last four.
        let digest = sha2::Sha256::digest(bytes);
        let digits = digest.chunks(3).flat_map(|three| {
            let word = three
                .iter()
                .fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            let word = word << (8 * (3 - three.len()));
            (0..=three.len()).map(move |place| ALPHABET[(word >> (18 - 6 * place)) as usize & 63])
        });
        digits.map(char::from).chain(['=']).collect()
    }
}
