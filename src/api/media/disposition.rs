//! What a file is called in an answer. Type and name are a stranger's words, so neither may be more than it looks like.

/// Longer names are cut, in characters.
const LONGEST_NAME: usize = 150;

/// The media type, if it is one.
pub(crate) fn media_type(told: Option<&str>) -> String {
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_well_formed = |text: &&str| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        text.len() <= 128
            && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
            && essence.split_once('/').is_some_and(|(kind, form)| is_token(kind) && is_token(form))
    };
    told.filter(is_well_formed).unwrap_or("application/octet-stream").to_owned()
}

/// `Content-Disposition` (RFC 6266): shown where it stands only if a browser does nothing but show it.
pub(crate) fn disposition(media_type: &str, name: Option<&str>, message_id: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let shown = essence.starts_with("audio/")
        || essence.starts_with("video/")
        || matches!(essence.as_str(), "image/jpeg" | "image/png" | "image/gif" | "image/webp");
    let name = name.map(clean).filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| clean(&format!("{message_id}{}", extension(&essence))));
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let kind = if shown { "inline" } else { "attachment" };
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", encoded(&name))
}

/// A name without what leads out of a folder, hides a file, or makes a name read otherwise than it is.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_fit = |c: &char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let name: String = last.chars().filter(is_fit).take(LONGEST_NAME).collect();
    name.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']).to_owned()
}

/// RFC 8187.
fn encoded(name: &str) -> String {
    use std::fmt::Write as _;

    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

fn extension(essence: &str) -> &'static str {
    match essence {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "video/mp4" => ".mp4",
        "video/3gpp" => ".3gp",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        "audio/aac" => ".aac",
        "application/pdf" => ".pdf",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_none_is_not_passed_on() {
        assert_eq!(media_type(Some("audio/ogg; codecs=opus")), "audio/ogg; codecs=opus");
        for told in [None, Some(""), Some("html"), Some("text/html\r\nX: y"), Some("text /html"), Some("a/b/c")] {
            assert_eq!(media_type(told), "application/octet-stream", "{told:?}");
        }
    }

    #[test]
    fn only_what_a_browser_just_shows_is_shown() {
        for (media_type, kind) in [
            ("image/png", "inline"),
            ("audio/ogg; codecs=opus", "inline"),
            ("video/mp4", "inline"),
            ("image/svg+xml", "attachment"),
            ("text/html", "attachment"),
            ("application/pdf", "attachment"),
        ] {
            assert!(disposition(media_type, None, "A").starts_with(&format!("{kind};")), "{media_type}");
        }
    }

    #[test]
    fn a_name_says_what_it_is_and_leads_nowhere() {
        let of = |name| disposition("application/pdf", Some(name), "3EB0");
        assert_eq!(
            of("Übersicht 1.pdf"),
            "attachment; filename=\"_bersicht 1.pdf\"; filename*=UTF-8''%C3%9Cbersicht%201.pdf"
        );
        assert!(of("../../etc/passwd").contains("filename=\"passwd\""));
        assert!(of("C:\\a\\b.pdf").contains("filename=\"b.pdf\""));
        assert!(of("a\"; x=\"y\r\n.pdf").contains("filename=\"a_; x=_y.pdf\""));
        assert!(of("invoice\u{202e}fdp.exe").contains("filename=\"invoicefdp.exe\""));
        assert!(of("...").contains("filename=\"3EB0.pdf\""), "{}", of("..."));
        assert!(disposition("image/png", None, "3EB0").contains("filename=\"3EB0.png\""));
    }
}
