//! What a message shows of the page that its text leads to.

use serde::{Deserialize, Serialize};
use url::Url;

/// Characters of a title.
const MAX_TITLE: usize = 255;

/// Characters of a description.
const MAX_DESCRIPTION: usize = 512;

/// What is shown of a page.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPreview {
    /// The address, as it stands in the text.
    pub link: String,
    /// What the page is called.
    pub title: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl LinkPreview {
    /// With a page's own words, in one line each and no longer than is shown; `None` if the page has no title.
    pub fn new(link: &str, title: &str, description: Option<&str>) -> Option<Self> {
        Some(Self {
            link: link.to_owned(),
            title: line(title, MAX_TITLE)?,
            description: description.and_then(|text| line(text, MAX_DESCRIPTION)),
        })
    }
}

/// The first address of the web in a text, written out with `http://` or `https://`.
pub fn first_link(text: &str) -> Option<&str> {
    text.split_whitespace().find_map(|word| {
        let word = word.trim_start_matches(|character: char| !character.is_alphanumeric());
        let scheme = ["https://", "http://"]
            .into_iter()
            .find(|scheme| word.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)))?;
        let link = without_punctuation(word);
        (link.len() > scheme.len() && Url::parse(link).is_ok()).then_some(link)
    })
}

/// What a sentence puts behind an address is none of it; a closing bracket is if it was opened within.
fn without_punctuation(mut word: &str) -> &str {
    while let Some(last) = word.chars().next_back() {
        let is_punctuation = match last {
            ')' => word.matches(')').count() > word.matches('(').count(),
            ']' => word.matches(']').count() > word.matches('[').count(),
            '/' | '-' | '_' | '=' | '&' | '#' | '%' | '+' | '~' | '@' | '$' => false,
            _ => !last.is_alphanumeric(),
        };
        if !is_punctuation {
            break;
        }
        word = &word[..word.len() - last.len_utf8()];
    }
    word
}

/// Words in one line, cut where they are too many; `None` if there are none.
fn line(text: &str, max: usize) -> Option<String> {
    let text: String = text.chars().map(|character| if is_unseen(character) { ' ' } else { character }).collect();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= max {
        return Some(line).filter(|line| !line.is_empty());
    }
    let cut: String = line.chars().take(max - 1).collect();
    Some(cut.trim_end().to_owned() + "…")
}

/// Control characters, and those that turn the direction of what follows: a page must not reorder the chat around it.
fn is_unseen(character: char) -> bool {
    character.is_control() || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_text_is_found_without_what_stands_around_it() {
        for (text, link) in [
            ("https://example.com", Some("https://example.com")),
            ("see (http://example.com/a), please", Some("http://example.com/a")),
            ("HTTPS://Example.com/A?b=c#d.", Some("HTTPS://Example.com/A?b=c#d")),
            ("اقرأ https://example.com/مقال؟", Some("https://example.com/مقال")),
            ("«https://a.example/x_(y)»", Some("https://a.example/x_(y)")),
            ("two: https://a.example/ https://b.example/", Some("https://a.example/")),
            ("in a\nline\thttps://a.example/-\n", Some("https://a.example/-")),
            ("http:// https://a.example", Some("https://a.example")),
            ("example.com, ftp://example.com, https:/example.com", None),
            ("xhttps://example.com", None),
            ("http://", None),
            ("https://[::1", None),
            ("", None),
        ] {
            assert_eq!(first_link(text), link, "{text}");
        }
    }

    #[test]
    fn a_pages_words_are_one_line_that_is_not_too_long() {
        let preview = |title, description| LinkPreview::new("https://a.example", title, description);
        let shown = preview("  A\n\ttitle\u{202E} of\0 it ", Some(" ")).unwrap();
        assert_eq!((shown.title.as_str(), shown.description), ("A title of it", None));
        assert!(preview(" \n", Some("of nothing")).is_none());
        let long = "é".repeat(1000);
        let shown = preview(&long, Some(&long)).unwrap();
        assert_eq!(shown.title.chars().count(), MAX_TITLE);
        let description = shown.description.unwrap();
        assert_eq!((description.chars().count(), description.chars().next_back()), (MAX_DESCRIPTION, Some('…')));
    }
}
