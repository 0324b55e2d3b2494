//! What the fuzz targets in `fuzz/` reach of the crate's inside. Only they and the tests below build it.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::FutureExt;

use crate::api::extract::Parameters;
use crate::domain::token::Token;

/// Reads a request's parameters, wherever they stand, and the token among them. Panics where a promise is broken: that no
/// token is taken for another text, and that reading the same twice gives the same.
pub fn credential(headers: &[(&str, &[u8])], query: &str, body: &[u8]) {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value));
        if let (Ok(name), Ok(value)) = header {
            map.append(name, value);
        }
    }
    let read = || {
        let body = Bytes::copy_from_slice(body);
        let parameters = Parameters::of(&map, query, &body).now_or_never().expect("the body is there");
        parameters.map_err(|error| error.to_string())
    };
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

/// Reads a code as a phone does. Panics where the prefix that opens WhatsApp changes what is read.
#[cfg(feature = "sandbox")]
pub fn qr_value(text: &str) {
    use crate::sandbox::qr_value::{CAMERA_PREFIX, QrValue};

    let Some(value) = QrValue::parse(text) else { return };
    let text = text.trim();
    let prefixed = format!("{CAMERA_PREFIX}{}", text.strip_prefix(CAMERA_PREFIX).unwrap_or(text));
    assert_eq!(QrValue::parse(&prefixed).as_ref(), Some(&value), "the prefix changes nothing");
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_the_targets_call_takes_their_seeds() {
        let multipart = b"--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\nx\r\n--b--";
        super::credential(&[("content-type", b"multipart/form-data; boundary=b")], "access_token=x", multipart);
        super::credential(&[("x-api-key", b"x")], "", b"{\"access_token\":\"x\"}");
        #[cfg(feature = "sandbox")]
        super::qr_value(include_str!("../fuzz/seeds/qr_value/camera"));
    }
}
