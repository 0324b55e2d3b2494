//! What the fuzz targets in `fuzz/` reach of the crate's inside. Only they and the tests below build it.

use std::fmt::Debug;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::{Map, Value};
use url::Host;

use crate::api::error::ApiError;
use crate::api::events::query::{Start, start};
use crate::api::extract::{Parameters, Read};
use crate::api::media::disposition::{disposition, media_type};
use crate::api::media::range::{Wanted, wanted};
use crate::api::webhooks::wish::Wish;
use crate::domain::chat_id::ChatId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::first_link;
use crate::domain::outgoing_file::FileKind;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::token::Token;
use crate::media::preview;
use crate::media::sniff::{self, Unfit};
use crate::media::spool::Spool;
use crate::outside::target::Guard;

/// Reads a request's parameters, wherever they stand, and the token among them. Panics where a promise is broken: that no
/// token is taken for another text, and that reading the same twice gives the same.
pub fn credential(headers: &[(&str, &[u8])], query: &str, body: &[u8]) {
    let map = header_map(headers);
    let read = || parameters(&map, query, body).map_err(|error| error.to_string());
    match (read(), read()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.access_token(), second.access_token(), "one request, two tokens");
            if let Some(text) = first.access_token()
                && let Ok(token) = Token::parse(text)
            {
                assert_eq!(token.expose(), text, "a token is its text");
            }
        }
        (Err(first), Err(second)) => assert_eq!(first, second, "one request, two refusals"),
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => panic!("one request is read and refused: {error}"),
    }
}

fn header_map(headers: &[(&str, &[u8])]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = header {
            map.append(name, value);
        }
    }
    map
}

fn parameters(headers: &HeaderMap, query: &str, body: &[u8]) -> Result<Parameters, ApiError> {
    let body = Bytes::copy_from_slice(body);
    Parameters::of(headers, query, &body).now_or_never().expect("the body is there")
}

/// Reads a request's parameters as everything that they may be. Panics where a promise is broken: that what is read is
/// within its bounds, that whatever is not is told, and that texts in a body of JSON mean the same as in a query.
pub fn fields(headers: &[(&str, &[u8])], query: &str, body: &[u8]) {
    if let Ok(parameters) = parameters(&header_map(headers), query, body) {
        everything(&parameters);
    }
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let object: Map<String, Value> = pairs.iter().cloned().map(|(name, value)| (name, value.into())).collect();
    // The character NUL is refused in any body of JSON, and in a query only where a parameter would hold it.
    if object.len() == pairs.len() && !pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
        let none = HeaderMap::new();
        let in_query = parameters(&none, query, b"").expect("no two are alike");
        let in_body = parameters(&none, "", Value::Object(object).to_string().as_bytes()).expect("it is JSON");
        assert_eq!(everything(&in_query), everything(&in_body), "one request, two readings");
    }
}

/// What was read, and the refusal, if any of it was wrong.
fn everything(parameters: &Parameters) -> Vec<String> {
    fn note<T: Debug>(seen: &mut Vec<String>, value: Option<T>, fits: impl FnOnce(&T) -> bool) {
        if let Some(value) = value {
            assert!(fits(&value), "{value:?} is out of bounds");
            seen.push(format!("{value:?}"));
        }
    }
    let mut read = Read::new(parameters);
    let mut seen = Vec::new();
    note(&mut seen, read.named_instance(), |_| true);
    note(&mut seen, read.integer("limit", 1..=100), |limit| (1..=100).contains(limit));
    note(&mut seen, read.seq("after"), |seq| *seq >= 0);
    note(&mut seen, read.bound("per_day", 1..=9), |_| true);
    note(&mut seen, read.boolean("force"), |_| true);
    note(&mut seen, read.text("name", 9), |text| text.chars().count() <= 9 && !text.contains(char::is_control));
    note(&mut seen, read.object("metadata"), |_| true);
    note(&mut seen, read.objects("contacts"), |_| true);
    note(&mut seen, read.texts("options"), |_| true);
    note(&mut seen, read.assertion("assertion"), |_| true);
    note(&mut seen, read.event_kinds("events"), |_| true);
    note(&mut seen, read.statuses("status"), |_| true);
    note(&mut seen, read.scopes("scopes"), |scopes| !scopes.is_empty());
    note(&mut seen, read.origins("allowed_origins", 2), |origins| origins.len() <= 2);
    note(&mut seen, read.moment("expires_at"), |_| true);
    note(&mut seen, read.uuid("token_id"), |_| true);
    note(&mut seen, read.ttl(), |ttl| (1..=86_400).contains(&ttl.num_seconds()));
    note(&mut seen, read.over(), |_| true);
    note(&mut seen, read.decimal("latitude", -90.0..=90.0), |degrees| degrees.abs() <= 90.0);
    note(&mut seen, read.message_ids("message_ids"), |ids| (1..=100).contains(&ids.len()));
    note(&mut seen, read.phone_number("phone_number").map(PhoneNumber::digits), |digits| is_number(digits));
    let people = read.people("participants", 3).map(|people| people.iter().map(ChatId::to_string).collect::<Vec<_>>());
    note(&mut seen, people, |people| (1..=3).contains(&people.len()));
    note(&mut seen, read.chat("chatId").map(|chat| chat.to_string()), |_| true);
    let wish = Wish::read(&mut read, &Guard::default());
    seen.push(wish.request().to_string());
    seen.push(format!("{:?}", read.finish().map_err(|error| error.to_string())));
    seen
}

fn is_number(digits: &str) -> bool {
    (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.starts_with('0')
}

/// Reads a text as whatever names people, chats and messages. Panics where what was read does not read again as the same,
/// or would not stand in an address of WhatsApp's.
pub fn address(text: &str) {
    if let Ok(chat) = ChatId::parse(text) {
        assert_eq!(ChatId::parse(&chat.to_string()).as_ref(), Ok(&chat));
        assert_eq!(ChatId::parse(&chat.jid()).as_ref(), Ok(&chat));
        let jid = chat.jid();
        let (user, server) = jid.split_once('@').expect("an address has both");
        assert!(!user.is_empty() && user.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{jid}");
        assert!(["s.whatsapp.net", "lid", "g.us"].contains(&server), "{jid}");
    }
    if let Ok(number) = PhoneNumber::parse(text) {
        assert!(is_number(&number.digits()));
        assert_eq!(PhoneNumber::parse(&number.digits()), Ok(number));
    }
    if let Ok(id) = MessageId::parse(text) {
        assert_eq!(MessageId::parse(id.as_str()).ok().as_ref(), Some(&id));
    }
}

/// Looks at a file that is to be sent. Panics where it is taken for something that phones are not shown, where a picture
/// is larger than one may be, and where a reader of a file that is there fails.
pub fn file(kind: u8, declared: &str, content: &[u8]) {
    static SPOOL: LazyLock<Spool> =
        LazyLock::new(|| Spool::open(&std::env::temp_dir(), u64::MAX).expect("there is a folder for passing files"));
    const KINDS: [FileKind; 7] = [
        FileKind::Image,
        FileKind::Video,
        FileKind::Voice,
        FileKind::Audio,
        FileKind::Pdf,
        FileKind::Document,
        FileKind::Sticker,
    ];
    let kind = KINDS[usize::from(kind) % KINDS.len()];
    let written = SPOOL.write(|mut file| file.write_all(content));
    let (file, ()) = written.expect("it can be written");
    let declared = Some(declared).filter(|declared| !declared.is_empty());
    match sniff::look(&file, kind, declared) {
        Ok(found) => {
            let is_picture = matches!(kind, FileKind::Image | FileKind::Sticker);
            assert_eq!(found.dimensions.is_some(), is_picture, "{found:?}");
            if let Some((width, height)) = found.dimensions {
                let pixels = u64::from(width) * u64::from(height);
                assert!((1..=12_000).contains(&width) && (1..=12_000).contains(&height) && pixels <= 50_000_000);
            }
            assert!(found.seconds.is_none_or(|seconds| seconds > 0 && kind == FileKind::Voice));
            if kind != FileKind::Document {
                assert_eq!(media_type(Some(&found.mimetype)), found.mimetype, "it is a media type");
            }
        }
        Err(Unfit::Io(error)) => panic!("the file could not be read: {error}"),
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
}

/// Reads an address that an account chose. Panics where one that leads to this host or its neighbours is admitted.
pub fn target(text: &str) {
    let guard = Guard::default();
    let Ok(url) = guard.vet(text) else { return };
    assert!(matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none());
    let address = match url.host().expect("it has a host") {
        Host::Ipv4(address) => Some(IpAddr::from(address)),
        Host::Ipv6(address) => Some(IpAddr::from(address)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let (_, last) = name.rsplit_once('.').expect("a public name has two labels");
            assert!(!matches!(last, "localhost" | "local"), "{url}");
            None
        }
    };
    let is_near = match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
        }
        Some(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        None => false,
    };
    assert!(!is_near, "{url}");
    assert_eq!(guard.vet(url.as_str()).as_ref(), Ok(&url), "what was admitted is admitted again");
}

/// Reads a `Range`. Panics where the part is none of the file.
pub fn range(text: &str, length: u64) {
    match wanted(Some(text), length) {
        Wanted::Part(part) => assert!(part.start < part.end && part.end <= length, "{part:?} of {length}"),
        Wanted::Beyond => assert!(text.to_ascii_lowercase().contains("bytes"), "{text}"),
        Wanted::Whole => {}
    }
}

/// Names a file in an answer. Panics where the header would be none, or would say more than a name.
pub fn file_name(told_type: &str, name: &str, message_id: &str) {
    let media_type = media_type(Some(told_type));
    assert!(HeaderValue::from_str(&media_type).is_ok(), "{media_type}");
    let header = disposition(&media_type, Some(name), message_id);
    assert!(HeaderValue::from_str(&header).is_ok(), "{header}");
    assert_eq!(header.matches('"').count(), 2, "{header}");
    let (_, encoded) = header.rsplit_once("''").expect("it has the name twice");
    let mut name = form_urlencoded::parse(encoded.as_bytes());
    let name = name.next().map(|(name, _)| name).unwrap_or_default();
    assert!(!name.starts_with('.') && !name.contains(['/', '\\']) && !name.contains(char::is_control), "{name}");
    assert!(Path::new(&*name).components().count() <= 1, "{name}");
}

/// Reads where a reader of events begins. Panics where that is before the first, or where nonsense is not refused.
pub fn first_event(last_event_id: &[u8], query: &str) {
    let Ok(parameters) = parameters(&HeaderMap::new(), query, b"") else { return };
    let Ok(header) = HeaderValue::from_bytes(last_event_id) else { return };
    let mut read = Read::new(&parameters);
    let said = start(Some(&header), &mut read);
    let is_number = header.to_str().is_ok_and(|text| text.trim().parse::<i64>().is_ok_and(|seq| seq >= 0));
    match (said, read.finish()) {
        (Start::After { seq, .. }, _) if seq < 0 => panic!("{seq} is no event's"),
        (_, Ok(())) => assert!(is_number || header.is_empty(), "nonsense is not refused"),
        (_, Err(_)) => {}
    }
}

/// Reads a webhook in WAHA's shape. Panics where a header would be the connection's own.
pub fn webhook(json: &str) {
    let Ok(given) = serde_json::from_str(json) else { return };
    let Ok(wish) = Wish::of_waha(&given, &Guard::default()) else { return };
    for header in wish.request()["headers"].as_array().into_iter().flatten() {
        let (name, value) = (header["name"].as_str().expect("a name"), header["value"].as_str().expect("a value"));
        let name = HeaderName::from_bytes(name.as_bytes()).expect("it can be sent");
        assert!(HeaderValue::from_str(value).is_ok_and(|value| value.to_str().is_ok()), "{name}");
        assert!(!["host", "content-length", "transfer-encoding", "connection"].contains(&name.as_str()), "{name}");
    }
}

/// Reads a code as a phone does. Panics where the prefix that opens WhatsApp changes what is read.
#[cfg(feature = "sandbox")]
pub fn qr_value(text: &str) {
    use crate::sandbox::qr_value::{CAMERA_PREFIX, QrValue};

    let Some(value) = QrValue::parse(text) else { return };
    let text = text.trim();
    let prefixed = format!("{CAMERA_PREFIX}{}", text.strip_prefix(CAMERA_PREFIX).unwrap_or(text));
    assert_eq!(QrValue::parse(&prefixed).as_ref(), Some(&value), "the prefix changes nothing");
}

/// Reads a page for the preview of its link. Panics where a promise is broken: that what is shown is one line of bounded
/// length which reorders nothing around it, and that the link stands in the text.
pub fn page(content_type: &str, page: &[u8]) {
    let text = String::from_utf8_lossy(page);
    let link = first_link(&text);
    if let Some(link) = link {
        assert!(text.contains(link) && url::Url::parse(link).is_ok(), "no link of this text: {link}");
    }
    let Some(preview) = preview::read(link.unwrap_or("https://example.com"), content_type, page) else { return };
    let shown = [(Some(&preview.title), 255), (preview.description.as_ref(), 512)];
    for (line, most) in shown.into_iter().filter_map(|(line, most)| Some((line?, most))) {
        assert!((1..=most).contains(&line.chars().count()), "{line}");
        assert!(
            !line.contains(|character: char| character.is_control() || ('\u{202A}'..='\u{202E}').contains(&character))
        );
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_targets_call_takes_their_seeds() {
        let multipart = b"--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nx\r\n--b--";
        super::credential(&[("content-type", b"multipart/form-data; boundary=b")], "access_token=x", multipart);
        super::credential(&[("x-api-key", b"x")], "", b"{\"access_token\":\"x\"}");
        super::fields(&[], include_str!("../fuzz/seeds/fields/query").trim_end(), b"{\"limit\":7}");
        super::address(include_str!("../fuzz/seeds/address/number").trim_end());
        super::file(0, "image/png", include_bytes!("../fuzz/seeds/file/png").split_at(11).1);
        super::target(include_str!("../fuzz/seeds/target/name").trim_end());
        super::range("bytes=2-", 9);
        super::file_name("image/png", "../a\"b.png", "3EB0");
        super::first_event(b"17", "latest=true");
        super::webhook(include_str!("../fuzz/seeds/webhook/waha"));
        super::page("text/html", include_bytes!("../fuzz/seeds/page/shared"));
        #[cfg(feature = "sandbox")]
        super::qr_value(include_str!("../fuzz/seeds/qr_value/camera"));
    }
}
