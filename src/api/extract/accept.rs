//! `Accept` (RFC 9110, 12.5.1): which of the forms we can give a client would rather have.
//!
//! A range's parameters other than `q` are passed over: none of our forms differs by one, and clients write
//! `application/json; charset=utf-8` there.

use actix_web::http::header::{ACCEPT, HeaderMap};

/// Ranges that are read; nobody means more, and each costs a comparison with each form.
const MAX_RANGES: usize = 64;

/// What a client accepts. Without the header it accepts everything, and prefers nothing.
#[derive(Debug, Default)]
pub struct Accept {
    ranges: Vec<Range>,
}

/// `text/html;q=0.8`, with `*` for what it leaves open.
#[derive(Debug)]
struct Range {
    main: String,
    sub: String,
    /// In thousandths.
    quality: u16,
}

/// How well a form suits: its quality first; between equals, the one that was named more closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    quality: u16,
    closeness: u8,
}

impl Accept {
    /// Reads a request's headers; several lines are one list.
    pub fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok());
        Self { ranges: lines.flat_map(Self::ranges).take(MAX_RANGES).collect() }
    }

    /// Reads one line.
    pub fn parse(line: &str) -> Self {
        Self { ranges: Self::ranges(line).take(MAX_RANGES).collect() }
    }

    fn ranges(line: &str) -> impl Iterator<Item = Range> {
        unquoted(line, ',').filter_map(Range::parse)
    }

    /// The form that suits best, the earlier of two that suit equally; `None` if none is acceptable. A form is its media
    /// type and what it stands for.
    pub fn choose<T: Copy>(&self, forms: &[(&str, T)]) -> Option<T> {
        if self.ranges.is_empty() {
            return forms.first().map(|(_, form)| *form);
        }
        let ranked = forms.iter().map(|(media_type, form)| (self.rank(media_type), *form));
        let acceptable = ranked.filter(|(rank, _)| rank.quality > 0);
        // Of equal ranks `max_by_key` gives the last.
        acceptable.rev().max_by_key(|(rank, _)| *rank).map(|(_, form)| form)
    }

    /// The rank of a media type: the closest range that matches it decides, the best of them if several are equally close.
    fn rank(&self, media_type: &str) -> Rank {
        let (main, sub) = media_type.split_once('/').unwrap_or((media_type, ""));
        let matching = self.ranges.iter().filter_map(|range| {
            let closeness = range.closeness(main, sub)?;
            Some((closeness, range.quality))
        });
        let (closeness, quality) = matching.max().unwrap_or((0, 0));
        Rank { quality, closeness }
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = unquoted(text, ';').map(str::trim);
        let name = parts.next()?;
        // Java's own client writes a bare `*` for everything.
        let (main, sub) = if name == "*" { ("*", "*") } else { name.split_once('/')? };
        let quality = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| thousandths(value.trim()))
        });
        let (main, sub) = (main.trim().to_ascii_lowercase(), sub.trim().to_ascii_lowercase());
        Some(Self { main, sub, quality: quality.unwrap_or(1_000) })
    }

    /// How closely it names a media type, from 1 to 3; `None` if it does not.
    fn closeness(&self, main: &str, sub: &str) -> Option<u8> {
        match (self.main.as_str(), self.sub.as_str()) {
            ("*", "*") => Some(1),
            (m, "*") if m == main => Some(2),
            (m, s) if m == main && s == sub => Some(3),
            (_, _) => None,
        }
    }
}

/// The parts of a text between `separator`s that do not stand in quotes.
fn unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
}

/// `0`, `1`, `0.5`, `.5` in thousandths; anything else counts as 0.
fn thousandths(q: &str) -> u16 {
    let (whole, fraction) = q.split_once('.').unwrap_or((q, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" if fraction.bytes().all(|digit| digit == b'0') => 1_000,
        "0" | "" if !q.is_empty() => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: [(&str, &str); 3] = [("application/json", "json"), ("text/html", "html"), ("application/xml", "xml")];

    #[test]
    fn the_highest_quality_wins_then_the_closest_range_then_our_order() {
        for (accept, chosen) in [
            ("", "json"),
            ("*/*", "json"),
            ("*", "json"),
            ("text/html", "html"),
            ("TEXT/HTML ; Q=1.0", "html"),
            ("text/*", "html"),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "html"),
            ("application/xml;q=0.9, text/html;q=0.8", "xml"),
            ("application/xml, application/json", "json"),
            ("application/xml, */*", "xml"),
            ("*/*;q=0.1, application/json;q=0", "html"),
            ("text/html;q=0.1, text/*;q=0.9, application/json;q=0.5", "json"),
            ("application/json; charset=utf-8", "json"),
            ("text/plain;x=\"a,text/html;q=1\\\"\", application/xml", "xml"),
            ("application/*;q=.5, text/html;q=.4", "json"),
            ("nonsense, application/xml;q=0.001", "xml"),
        ] {
            assert_eq!(Accept::parse(accept).choose(&FORMS), Some(chosen), "{accept}");
        }
        for accept in ["image/*", "text/html;q=0", "text/html;q=nonsense", "text/html;q=1.5", "text/html;q=", "a/b/c"] {
            assert_eq!(Accept::parse(accept).choose(&FORMS), None, "{accept}");
        }
    }

    #[test]
    fn several_lines_are_one_list_and_only_so_much_of_it_is_read() {
        let line = |text: &str| actix_web::http::header::HeaderValue::from_str(text).unwrap();
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, line("application/xml;q=0.5"));
        headers.append(ACCEPT, line("text/html;q=0.6"));
        assert_eq!(Accept::of(&headers).choose(&FORMS), Some("html"));
        let long = format!("{}text/html", "image/png,".repeat(10_000));
        assert_eq!(Accept::parse(&long).choose(&FORMS), None);
    }
}
