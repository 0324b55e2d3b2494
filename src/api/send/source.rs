//! Where a request has its file: in the part `file`, in the parameter `file`, or at a `url`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::api::error::ApiError;
use crate::api::extract::{Call, Part, Read};
use crate::media::fetch::FetchError;
use crate::media::spool::{Spool, SpoolError, Spooled};

/// With or without the signs that fill the last group, as different languages write it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Characters of base64 that are decoded at a time: whole groups of four.
const GROUPS: usize = 64 * 1024;

/// The longest address of a file.
const MAX_URL: usize = 2_048;

/// The longest name of a file.
const MAX_NAME: usize = 255;

/// A file that a request brings or names.
pub(super) struct Source {
    place: Place,
    filename: Option<String>,
    mimetype: Option<String>,
}

enum Place {
    /// It came as a part of the body.
    Part(Spooled),
    /// It stands in the body.
    Data(String),
    /// It is elsewhere.
    Url(String),
}

/// A file that is here.
pub(super) struct Taken {
    pub(super) file: Spooled,
    pub(super) filename: Option<String>,
    /// What its sender, or the server it is from, calls its type.
    pub(super) mimetype: Option<String>,
}

impl Source {
    /// Reads where the file is.
    pub(super) fn read(read: &mut Read<'_>, part: Option<Part>) -> Option<Self> {
        let filename = read.text("filename", MAX_NAME).map(ToOwned::to_owned);
        let mimetype = read.text("mimetype", MAX_NAME).map(ToOwned::to_owned);
        let url = read.text("url", MAX_URL).map(ToOwned::to_owned);
        let source = match (part, url, read.object("file")) {
            (Some(Part { file, filename, mimetype }), None, None) => {
                Self { place: Place::Part(file), filename, mimetype }
            }
            (None, Some(url), None) => Self { place: Place::Url(url), filename: None, mimetype: None },
            (None, None, Some(file)) => match Self::described(file) {
                Ok(source) => source,
                Err(problem) => return read.wrong("file", problem),
            },
            (None, None, None) => {
                read.require("file");
                return None;
            }
            (Some(_), _, _) | (None, Some(_), Some(_)) => {
                return read.wrong("file", "must be given in one way: as a part of the body, as file, or by its url");
            }
        };
        Some(Self { filename: filename.or(source.filename), mimetype: mimetype.or(source.mimetype), ..source })
    }

    /// Reads the parameter `file`; on failure, what is wrong with it.
    fn described(mut file: Map<String, Value>) -> Result<Self, &'static str> {
        let mut word = |name: &str, max: usize| match file.remove(name) {
            None | Some(Value::Null) => Ok(None),
            // What a client leaves empty is not given.
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.len() <= max && !text.chars().any(char::is_control) => Ok(Some(text)),
            Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err("must hold texts of sane length: url or data, and perhaps filename and mimetype")
            }
        };
        let (url, data) = (word("url", MAX_URL)?, word("data", usize::MAX)?);
        let (filename, mimetype) = (word("filename", MAX_NAME)?, word("mimetype", MAX_NAME)?);
        let place = match (url, data) {
            (Some(url), None) => Place::Url(url),
            (None, Some(data)) => Place::Data(data),
            (None, None) | (Some(_), Some(_)) => return Err("must hold either url or data"),
        };
        Ok(Self { place, filename, mimetype })
    }

    /// What makes two requests the same: a file is the same if its bytes are, or its address.
    pub(super) async fn told(&self) -> Result<Value, ApiError> {
        let place = match &self.place {
            Place::Url(url) => json!({ "url": url }),
            Place::Data(data) => json!({ "data": hex(&Sha256::digest(data)[..]) }),
            Place::Part(file) => json!({ "part": hex(&file.sha256().await.map_err(SpoolError::Io)?) }),
        };
        Ok(json!({ "place": place, "filename": self.filename, "mimetype": self.mimetype }))
    }

    /// Brings the file here.
    pub(super) async fn take(self, call: &Call) -> Result<Taken, ApiError> {
        let Self { place, filename, mimetype } = self;
        match place {
            Place::Part(file) => Ok(Taken { file, filename, mimetype }),
            Place::Data(data) => {
                Ok(Taken { file: decode(call.state.library.spool(), &data).await?, filename, mimetype })
            }
            Place::Url(url) => {
                let fetched = call.state.fetcher.fetch(&url).await?;
                let (name, kind) = (filename.or(fetched.filename), mimetype.or(fetched.mimetype));
                Ok(Taken { file: fetched.file, filename: name, mimetype: kind })
            }
        }
    }
}

/// Writes what base64 says to disk, piece by piece. What a browser makes of a file, `data:image/png;base64,…`, is read too.
async fn decode(spool: &Spool, data: &str) -> Result<Spooled, ApiError> {
    let text = match data.split_once(";base64,") {
        Some((head, rest)) if head.starts_with("data:") => rest,
        Some(_) | None => data,
    };
    let mut file = spool.begin().await.map_err(SpoolError::Io)?;
    let mut decoded = Vec::with_capacity(GROUPS / 4 * 3);
    for groups in text.as_bytes().chunks(GROUPS) {
        decoded.clear();
        BASE64
            .decode_vec(groups, &mut decoded)
            .map_err(|_| ApiError::UnfitFile { why: "data is not base64".to_owned() })?;
        file.write(&decoded).await?;
    }
    Ok(file.finish().await.map_err(SpoolError::Io)?)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Spool(error) => error.into(),
            FetchError::Target(_)
            | FetchError::Redirects
            | FetchError::Status(_)
            | FetchError::Unreachable
            | FetchError::Timeout => Self::MediaUnavailable { why: error.to_string() },
        }
    }
}
