//! What a client uploads and downloads: the encrypted files that messages point to.
//!
//! The library has both, but decrypts what it downloads, and streams only through blocking readers, one thread of the
//! pool for each file under way and none of them to be stopped with the run. So only the hosts and the word that opens
//! them come from the library; the exchange is ours. Hosts are tried in their order; one round more follows with hosts
//! that were asked for anew, because the word expires.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use whatsapp_rust::mediaconn::MediaConn;

use crate::domain::media_reference::{MediaKind, MediaReference};
use crate::engine::{DownloadError, EngineError, Files, Uploaded};
use crate::media::cipher::media_type;
use crate::media::spool::{Arriving, Spooled};

use super::http::TransferError;
use super::run::{Run, failed};

const DOWNLOAD: &str = "give a file";
const UPLOAD: &str = "take a file";

/// What a media server answers to an upload.
#[derive(Deserialize)]
struct Placed {
    url: String,
    direct_path: String,
}

/// Why a round through the hosts came to nothing.
enum Failure {
    /// The word, or the path, is not good (any more): another round may help.
    Refused(u16),
    /// Every host failed for a reason of its own.
    Failed(String),
}

#[async_trait]
impl Files for Run {
    async fn download(&self, reference: &MediaReference, mut into: Arriving) -> Result<Spooled, DownloadError> {
        if !is_path(&reference.direct_path) {
            return Err(DownloadError::Damaged);
        }
        let mut damaged = false;
        let mut failure = no_host();
        for renewed in [false, true] {
            for host in self.media_conn(DOWNLOAD, renewed).await?.hosts {
                into.clear().await.map_err(crate::media::spool::SpoolError::Io)?;
                let url = download_url(&host.hostname, reference);
                match self.http.download(&url, &mut into).await {
                    Ok(hash) if hash == *reference.enc_sha256 => {
                        return Ok(into.finish().await.map_err(crate::media::spool::SpoolError::Io)?);
                    }
                    Ok(_) => damaged = true,
                    Err(TransferError::Spool(error)) => return Err(error.into()),
                    Err(TransferError::Status(status @ (401 | 403 | 404 | 410))) => {
                        failure = Failure::Refused(status);
                        break;
                    }
                    Err(error) => failure = Failure::Failed(error.to_string()),
                }
            }
            if !matches!(failure, Failure::Refused(_)) {
                break;
            }
        }
        match failure {
            _ if damaged => Err(DownloadError::Damaged),
            Failure::Refused(_) => Err(DownloadError::Gone),
            Failure::Failed(cause) => Err(EngineError::Unreachable { action: DOWNLOAD, cause }.into()),
        }
    }

    async fn upload(&self, file: &Spooled, kind: MediaKind, enc_sha256: &[u8]) -> Result<Uploaded, EngineError> {
        let mut failure = no_host();
        for renewed in [false, true] {
            let conn = self.media_conn(UPLOAD, renewed).await?;
            for host in &conn.hosts {
                let url = upload_url(&host.hostname, kind, enc_sha256, &conn.auth);
                match self.http.upload(&url, file).await {
                    Ok(body) => {
                        let refused = |_| EngineError::Refused {
                            action: UPLOAD,
                            cause: "the media server's answer cannot be read".to_owned(),
                        };
                        let Placed { url, direct_path } = serde_json::from_slice(&body).map_err(refused)?;
                        return Ok(Uploaded { url, direct_path });
                    }
                    Err(TransferError::Status(status @ (401 | 403))) => {
                        failure = Failure::Refused(status);
                        break;
                    }
                    Err(error) => failure = Failure::Failed(error.to_string()),
                }
            }
            if !matches!(failure, Failure::Refused(_)) {
                break;
            }
        }
        Err(match failure {
            Failure::Refused(status) => EngineError::Refused { action: UPLOAD, cause: format!("status {status}") },
            Failure::Failed(cause) => EngineError::Unreachable { action: UPLOAD, cause },
        })
    }
}

impl Run {
    /// WhatsApp's media hosts, and the word that opens them; asked for anew if `renewed`.
    async fn media_conn(&self, action: &'static str, renewed: bool) -> Result<MediaConn, EngineError> {
        let asked = tokio::time::timeout(self.request_timeout, self.client.refresh_media_conn(renewed));
        match asked.await {
            Ok(conn) => conn.map_err(|error| failed(action, &error)),
            Err(_) => Err(EngineError::Unreachable { action, cause: "no answer in time".to_owned() }),
        }
    }
}

fn no_host() -> Failure {
    Failure::Failed("WhatsApp named no media host".to_owned())
}

/// The path is the sender's word: it must not be able to name another host, as `@example.com/` would.
fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The path may bring a query of its own. The word that opens the hosts is for uploads only: a path is signed, and to
/// name the word to a server is to trust it.
fn download_url(host: &str, reference: &MediaReference) -> String {
    let path = &reference.direct_path;
    let separator = if path.contains('?') { '&' } else { '?' };
    let hash = BASE64_URL_SAFE.encode(&reference.enc_sha256);
    let kind = media_type(reference.kind).mms_type();
    format!("https://{host}{path}{separator}hash={hash}&mms-type={kind}&__wa-mms=")
}

fn upload_url(host: &str, kind: MediaKind, enc_sha256: &[u8], auth: &str) -> String {
    let token = BASE64_URL_SAFE_NO_PAD.encode(enc_sha256);
    let path = media_type(kind).upload_path();
    format!("https://{host}{path}/{token}?auth={auth}&token={token}")
}

/// How long a file of this length may be on its way: a line of 64 KiB a second, and a minute.
pub(super) fn patience(length: u64) -> Duration {
    Duration::from_secs(60 + length / (64 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(direct_path: &str) -> MediaReference {
        MediaReference {
            kind: MediaKind::Image,
            direct_path: direct_path.to_owned(),
            media_key: vec![1; 32],
            sha256: vec![2; 32],
            enc_sha256: vec![0xff; 32],
            size: None,
            mimetype: None,
            filename: None,
        }
    }

    #[test]
    fn a_path_with_a_query_of_its_own_gets_no_second_question_mark() {
        let url = download_url("mmg.whatsapp.net", &reference("/v/t62/1.enc?ccb=11-4&oh=x"));
        assert!(url.starts_with("https://mmg.whatsapp.net/v/t62/1.enc?ccb=11-4&oh=x&hash=_____"), "{url}");
        assert!(download_url("h", &reference("/a")).starts_with("https://h/a?hash="));
    }

    #[test]
    fn a_path_that_could_name_another_host_is_none() {
        assert!(is_path("/v/t62/1.enc?ccb=11-4"));
        for path in ["", "@example.com/a", ".example.com/a", ":8080/a", "https://example.com", "/a b", "/a\r\nHost: b"]
        {
            assert!(!is_path(path), "{path:?}");
        }
    }
}
