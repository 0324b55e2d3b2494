//! What a page says it is: its title and its description, for the message that leads to it.
//!
//! A page is fetched as any other file that a caller names ([`super::fetch`]), but only its beginning, and not for long:
//! a message waits for it, and goes without it sooner than late.

use encoding_rs::{Encoding, UTF_8};
use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};

use crate::domain::outgoing::LinkPreview;

use super::fetch::{FetchError, Fetcher};

/// Where a page must have said how its characters are written (HTML, 13.2.3.2).
const PRESCAN: usize = 1024;

/// The preview of the page at `link`; `None` if that is no page or has no title.
pub async fn of(fetcher: &Fetcher, link: &str) -> Result<Option<LinkPreview>, FetchError> {
    Ok(fetcher.page(link).await?.and_then(|page| read(link, &page.content_type, &page.beginning)))
}

/// The preview that a page's beginning makes, at `link`.
pub(crate) fn read(link: &str, content_type: &str, page: &[u8]) -> Option<LinkPreview> {
    let Head { shared, own } = Head::read(&decoded(page, content_type));
    let description = shared.description.or(own.description);
    LinkPreview::new(link, &shared.title.or(own.title)?, description.as_deref())
}

/// What the head of a page says.
#[derive(Default)]
struct Head {
    /// For whom shares it (`og:…`).
    shared: Words,
    /// For its readers.
    own: Words,
}

#[derive(Default)]
struct Words {
    title: Option<String>,
    description: Option<String>,
}

impl Head {
    fn read(html: &str) -> Self {
        let mut head = Self::default();
        let mut title: Option<String> = None;
        for token in tokens(html) {
            match token {
                Token::StartTag(tag) => match tag.name.as_slice() {
                    b"title" if head.own.title.is_none() => title = Some(String::new()),
                    b"meta" => head.take(&tag),
                    b"body" => break,
                    _ => {}
                },
                Token::String(text) => {
                    if let Some(title) = &mut title {
                        title.push_str(&String::from_utf8_lossy(&text));
                    }
                }
                Token::EndTag(tag) if *tag.name == b"title" => head.own.title = head.own.title.or(title.take()),
                Token::EndTag(tag) if *tag.name == b"head" => break,
                Token::EndTag(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        head
    }

    fn take(&mut self, meta: &StartTag<()>) {
        let name = attribute(meta, b"property").or_else(|| attribute(meta, b"name"));
        let (Some(name), Some(content)) = (name, attribute(meta, b"content")) else { return };
        let place = match name.to_ascii_lowercase().as_str() {
            "og:title" => &mut self.shared.title,
            "og:description" => &mut self.shared.description,
            "description" => &mut self.own.description,
            _ => return,
        };
        if !content.trim().is_empty() {
            place.get_or_insert(content);
        }
    }
}

fn tokens(html: &str) -> impl Iterator<Item = Token> {
    let mut emitter = DefaultEmitter::default();
    // What looks like a tag within a title or a script is none.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).map(|token| match token {
        Ok(token) => token,
    })
}

fn attribute(tag: &StartTag<()>, name: &[u8]) -> Option<String> {
    tag.attributes.get(name).map(|value| String::from_utf8_lossy(value).into_owned())
}

/// A page in our own characters: what its first bytes, its server or the page itself call its encoding, else UTF-8.
fn decoded(page: &[u8], content_type: &str) -> String {
    let told = charset(content_type);
    let encoding = told.or_else(|| declared(page)).unwrap_or(UTF_8);
    encoding.decode(page).0.into_owned()
}

/// `text/html; charset="windows-1256"`
fn charset(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let label = value.trim().trim_matches(['"', '\'']);
        name.trim().eq_ignore_ascii_case("charset").then(|| Encoding::for_label(label.as_bytes()))?
    })
}

/// What a page itself calls its encoding.
fn declared(page: &[u8]) -> Option<&'static Encoding> {
    let beginning = String::from_utf8_lossy(&page[..page.len().min(PRESCAN)]);
    tokens(&beginning).find_map(|token| {
        let Token::StartTag(tag) = token else { return None };
        if *tag.name != b"meta" {
            return None;
        }
        match attribute(&tag, b"charset") {
            Some(label) => Encoding::for_label(label.as_bytes()),
            None => charset(&attribute(&tag, b"content")?),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> (Option<String>, Option<String>) {
        let head = Head::read(html);
        (head.shared.title.or(head.own.title), head.shared.description.or(head.own.description))
    }

    #[test]
    fn what_a_page_says_to_those_who_share_it_comes_first() {
        let page = r#"<!doctype html><HTML><head><TITLE>Own &amp; <b>title</b></TITLE>
            <meta name=description content='own description'>
            <meta property="og:title" content="Shared &quot;title&quot;"><meta property="og:title" content="second">
            <meta property="og:description" content=" "></head><body><title>another</title>"#;
        let (title, description) = shown(page);
        assert_eq!(title.as_deref(), Some("Shared \"title\""));
        assert_eq!(description.as_deref(), Some("own description"), "one of blanks says nothing");
        let own = page.replace("og:", "x:");
        assert_eq!(shown(&own).0.as_deref(), Some("Own & <b>title</b>"));
    }

    #[test]
    fn what_only_looks_like_a_title_is_none() {
        let script = "<head><script>var a = '<title>script</title>'</script><!-- <title>comment</title> -->";
        assert_eq!(shown(script), (None, None));
        assert_eq!(shown(&format!("{script}<title>real</title>")).0.as_deref(), Some("real"));
        assert_eq!(shown("<body><svg><title>picture</title></svg>"), (None, None));
        assert_eq!(shown("<title>never ends"), (None, None));
        assert_eq!(shown("<title></title><title>second</title>").0.as_deref(), Some(""));
        assert_eq!(shown("\u{0}<<>&#xffffffff;<meta content><meta name=description>"), (None, None));
    }

    #[test]
    fn characters_are_read_as_they_were_written() {
        let (arabic, _, _) = encoding_rs::WINDOWS_1256.encode("<title>مرحبا</title>");
        for content_type in ["text/html; charset=windows-1256", "text/html;Charset=\"cp1256\""] {
            assert_eq!(decoded(&arabic, content_type), "<title>مرحبا</title>");
        }
        for declared in ["<meta charset=windows-1256>", "<meta http-equiv=a content='text/html; charset=windows-1256'>"]
        {
            let page = [declared.as_bytes(), &arabic].concat();
            assert_eq!(shown(&decoded(&page, "text/html")).0.as_deref(), Some("مرحبا"), "{declared}");
        }
        assert_eq!(decoded("é".as_bytes(), "text/html; charset=nonsense"), "é");
        assert_eq!(decoded(b"\xff\xfea\0", "text/html; charset=utf-8"), "a", "the first bytes know best");
    }
}
