//! Names as text in HTML. They come from whoever writes into the directory.

use std::fmt::{self, Display, Formatter, Write};

use crate::path::SitePath;

/// A name, escaped. Bytes that are no UTF-8 are shown as replacement characters, control characters as pictures of
/// themselves.
pub(super) struct Text<'a>(pub(super) &'a [u8]);

impl Display for Text<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for character in String::from_utf8_lossy(self.0).chars() {
            match picture(character) {
                '&' => formatter.write_str("&amp;")?,
                '<' => formatter.write_str("&lt;")?,
                '>' => formatter.write_str("&gt;")?,
                '"' => formatter.write_str("&quot;")?,
                '\'' => formatter.write_str("&#39;")?,
                plain => formatter.write_char(plain)?,
            }
        }
        Ok(())
    }
}

/// A path as text: `/a/b/`.
pub(super) struct Title<'a>(pub(super) &'a SitePath);

impl Display for Title<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_char('/')?;
        for segment in self.0.segments() {
            write!(formatter, "{}/", Text(segment))?;
        }
        Ok(())
    }
}

/// The visible stand-in of a character that is invisible or that reorders the text around it. The joiners U+200C and
/// U+200D stay: Persian words and many emoji have them.
fn picture(character: char) -> char {
    match character {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' => '\u{fffd}',
        visible => visible,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: impl AsRef<[u8]>) -> String {
        Text(name.as_ref()).to_string()
    }

    /// Mutants: leave out one of the five.
    #[test]
    fn nothing_in_a_name_means_anything_to_html() {
        assert_eq!(
            shown("<a href=\"x\" title='y'>&amp;"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;"
        );
        let all: Vec<u8> = (1..=255).collect();
        assert!(!shown(all).contains(['<', '>', '"', '\'']));
    }

    #[test]
    fn every_character_of_a_name_is_visible_and_stays_in_its_place() {
        assert_eq!(shown("a\u{202e}txt.exe"), "a\u{fffd}txt.exe");
        assert_eq!(shown("ä日\u{7f}"), "ä日\u{2421}");
        assert_eq!(shown(b"\n\x1b\xff\xc3"), "\u{240a}\u{241b}\u{fffd}\u{fffd}");
        for invisible in
            "\u{85}\u{ad}\u{61c}\u{200b}\u{200e}\u{2028}\u{2029}\u{2066}\u{2069}\u{feff}".chars()
        {
            assert_eq!(shown(invisible.to_string()), "\u{fffd}", "{invisible:?}");
        }
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(shown(family), family);
    }

    #[test]
    fn a_title_is_the_path_escaped() {
        let path = SitePath::parse(b"/a%3Cb%3E/c&d/").expect("valid");
        assert_eq!(Title(&path).to_string(), "/a&lt;b&gt;/c&amp;d/");
        let root = SitePath::parse(b"/").expect("valid");
        assert_eq!(Title(&root).to_string(), "/");
    }
}
