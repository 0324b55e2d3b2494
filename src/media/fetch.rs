//! Fetching a file from an address that a caller named.
//!
//! The address is vetted, and so is each one it redirects to, three at most; what is dialled is the vetted address itself
//! ([`crate::outside::target`]). No proxy of the environment is used and no credential is sent. What the server says
//! besides the file is not told to the caller: whoever can make the gateway ask must not learn what it hears.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::outside::target::{self, Guard, Names, TargetError};

use super::spool::{Spool, SpoolError, Spooled};

/// How often a server may send us on.
const REDIRECTS: usize = 3;

/// How long nothing may come.
const STALL: Duration = Duration::from_secs(15);

/// How long a page may take, whose preview a message waits for.
const PAGE_PATIENCE: Duration = Duration::from_secs(5);

/// How much of a page is read, in bytes: its head is at its beginning.
const PAGE: usize = 512 * 1024;

/// How many pages are read at a time.
const PAGES: usize = 16;

/// How long the whole may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A file from elsewhere.
#[derive(Debug)]
pub struct Fetched {
    /// The file.
    pub file: Spooled,
    /// What the server calls its type: a hint.
    pub mimetype: Option<String>,
    /// The last part of the address, where it looks like a name.
    pub filename: Option<String>,
}

/// The beginning of a page.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) beginning: Vec<u8>,
    pub(super) content_type: String,
}

/// A file was not fetched. What is told holds no more than the caller knew.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address leads nowhere it may lead.
    #[error("its address is refused: {0}")]
    Target(#[from] TargetError),
    /// It was sent on too often, or to nowhere.
    #[error("its server redirects too often, or to no address")]
    Redirects,
    /// The server refused.
    #[error("its server answered with status {0}")]
    Status(u16),
    /// The server did not answer, or broke off.
    #[error("its server could not be reached, or broke off")]
    Unreachable,
    /// The server took too long.
    #[error("its server took too long")]
    Timeout,
    /// It is too long, or could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Fetches files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    guard: Guard,
    client: Client,
    spool: Spool,
    runtime: Handle,
    pages: Arc<Semaphore>,
}

impl Fetcher {
    /// Fetches what `guard` admits of the addresses that `names` tells. Connections live on the current runtime, which must
    /// be the main one.
    pub fn new(guard: Guard, spool: Spool, names: Arc<dyn Names>) -> Result<Self, reqwest::Error> {
        let client = target::client(&guard, PATIENCE, names)?;
        let pages = Arc::new(Semaphore::new(PAGES));
        Ok(Self { guard, client, spool, runtime: Handle::current(), pages })
    }

    /// The file at `address`.
    pub async fn fetch(&self, address: &str) -> Result<Fetched, FetchError> {
        let url = self.guard.vet(address)?;
        let (fetcher, fetching) = (self.clone(), self.runtime.clone());
        let fetching = fetching.spawn(async move {
            let (url, answer) = fetcher.follow(url).await?;
            fetcher.take(&url, answer).await
        });
        // If the caller leaves, so does the request.
        AbortOnDropHandle::new(fetching).await.map_err(|_| FetchError::Unreachable)?
    }

    /// The beginning of the page at `address`; `None` if something else is there.
    pub(super) async fn page(&self, address: &str) -> Result<Option<Page>, FetchError> {
        let url = self.guard.vet(address)?;
        let (fetcher, fetching) = (self.clone(), self.runtime.clone());
        let fetching = fetching.spawn(timeout(PAGE_PATIENCE, async move {
            let _turn = fetcher.pages.acquire().await.map_err(|_| FetchError::Unreachable)?;
            let (_, answer) = fetcher.follow(url).await?;
            begin(answer).await
        }));
        let fetched = AbortOnDropHandle::new(fetching).await.map_err(|_| FetchError::Unreachable)?;
        fetched.map_err(|_| FetchError::Timeout)?
    }

    /// Where an address leads in the end, and what is said there.
    async fn follow(&self, mut url: Url) -> Result<(Url, Response), FetchError> {
        for _ in 0..=REDIRECTS {
            let asked = self.client.get(url.clone()).send();
            let answer = in_time(asked).await?;
            if !is_redirect(answer.status()) {
                if !answer.status().is_success() {
                    return Err(FetchError::Status(answer.status().as_u16()));
                }
                return Ok((url, answer));
            }
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok()).ok_or(FetchError::Redirects)?;
            url = self.guard.vet(next.as_str())?;
        }
        Err(FetchError::Redirects)
    }

    async fn take(&self, url: &Url, mut answer: Response) -> Result<Fetched, FetchError> {
        let told = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let max = self.spool.max_bytes();
        if told.is_some_and(|length| length > max) {
            return Err(SpoolError::TooLarge { max }.into());
        }
        let mimetype = content_type(&answer);
        let mut file = self.spool.begin().await.map_err(SpoolError::Io)?;
        while let Some(chunk) = in_time(answer.chunk()).await? {
            file.write(&chunk).await?;
        }
        let file = file.finish().await.map_err(SpoolError::Io)?;
        if told.is_some_and(|length| length != file.length()) {
            return Err(FetchError::Unreachable);
        }
        Ok(Fetched { file, mimetype, filename: name(url) })
    }
}

/// Reads a page as far as it is looked at.
async fn begin(mut answer: Response) -> Result<Option<Page>, FetchError> {
    let content_type = content_type(&answer).unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if !["text/html", "application/xhtml+xml"].into_iter().any(|page| kind.eq_ignore_ascii_case(page)) {
        return Ok(None);
    }
    let mut beginning = Vec::new();
    while let Some(chunk) = in_time(answer.chunk()).await? {
        beginning.extend_from_slice(&chunk[..chunk.len().min(PAGE - beginning.len())]);
        if beginning.len() == PAGE {
            break;
        }
    }
    Ok(Some(Page { beginning, content_type }))
}

fn content_type(answer: &Response) -> Option<String> {
    answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

async fn in_time<T>(step: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, FetchError> {
    match timeout(STALL, step).await {
        Ok(outcome) => outcome.map_err(|error| refusal(&error)),
        Err(_) => Err(FetchError::Timeout),
    }
}

/// A name that resolves to an address which is refused fails as a connection does; the reason is within.
fn refusal(error: &reqwest::Error) -> FetchError {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(current) = cause {
        let inner = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(refused) = inner.and_then(|inner| inner.downcast_ref::<TargetError>()) {
            return (*refused).into();
        }
        cause = current.source();
    }
    if error.is_timeout() { FetchError::Timeout } else { FetchError::Unreachable }
}

/// `…/a/picture.jpg?x=1` → `picture.jpg`.
fn name(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    let name: Vec<u8> = percent_decoded(last);
    let name = String::from_utf8(name).ok()?;
    (name.contains('.') && name.len() <= 255).then_some(name)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    // A form's rules but for the plus sign, which stands for itself in a path.
    let text = text.replace('+', "%2B");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned().into_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::domain::network::Network;
    use crate::outside::target::SystemNames;

    /// A server that gives these answers, one a connection.
    async fn server(answers: Vec<String>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut head = [0; 4096];
                let _ = socket.read(&mut head).await.unwrap();
                socket.write_all(answer.as_bytes()).await.unwrap();
                socket.shutdown().await.unwrap();
            }
        });
        format!("http://{address}")
    }

    fn answer(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    }

    fn to(location: &str) -> String {
        answer(&format!("302 Found\r\nLocation: {location}"), "")
    }

    fn fetcher(max_bytes: u64, allowed: &[&str]) -> (tempfile::TempDir, Fetcher) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scratch = tempfile::tempdir().unwrap();
        let spool = Spool::open(scratch.path(), max_bytes).unwrap();
        let guard = Guard::new(allowed.iter().map(|text| Network::parse(text).unwrap()));
        (scratch, Fetcher::new(guard, spool, Arc::new(SystemNames)).unwrap())
    }

    #[tokio::test]
    async fn a_file_is_fetched_over_three_redirects_and_no_more() {
        let (_scratch, fetcher) = fetcher(100, &["127.0.0.1"]);
        let file = answer("200 OK\r\nContent-Type: image/png", "a picture");
        let three = server(vec![to("/a"), to("b"), to("/c/d%20e.png?x"), file]).await;
        let fetched = fetcher.fetch(&three).await.unwrap();
        let mut content = String::new();
        io::Read::read_to_string(&mut fetched.file.reader(), &mut content).unwrap();
        assert_eq!((content.as_str(), fetched.mimetype.as_deref()), ("a picture", Some("image/png")));
        assert_eq!(fetched.filename.as_deref(), Some("d e.png"));
        let four = server(vec![to("/a"), to("/b"), to("/c"), to("/d")]).await;
        assert!(matches!(fetcher.fetch(&four).await, Err(FetchError::Redirects)));
    }

    #[tokio::test]
    async fn a_redirect_to_where_no_request_may_go_is_not_followed() {
        let (_scratch, fetcher) = fetcher(100, &["127.0.0.1"]);
        for location in [
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
            "http://[::1]/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            "http://user:secret@127.0.0.1/",
        ] {
            let url = server(vec![to(location)]).await;
            assert!(matches!(fetcher.fetch(&url).await, Err(FetchError::Target(_))), "{location}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_host_is_refused_as_its_address_is() {
        // The guard lets the name pass, because a network is allowed; what it resolves to is another.
        let (_scratch, fetcher) = fetcher(100, &["10.1.0.0/16"]);
        let outcome = fetcher.fetch("http://localhost:1/a.png").await;
        assert!(matches!(outcome, Err(FetchError::Target(TargetError::NotPublic))), "{outcome:?}");
        let (_scratch, fetcher) = self::fetcher(100, &[]);
        assert!(matches!(fetcher.fetch("http://127.0.0.1:1/").await, Err(FetchError::Target(_))));
    }

    #[tokio::test]
    async fn a_file_that_is_too_long_or_not_whole_is_refused() {
        let (_scratch, fetcher) = fetcher(4, &["127.0.0.1"]);
        let told = server(vec![answer("200 OK", "12345")]).await;
        assert!(matches!(fetcher.fetch(&told).await, Err(FetchError::Spool(SpoolError::TooLarge { max: 4 }))));
        let endless = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n12345678".to_owned();
        let endless = server(vec![endless]).await;
        assert!(matches!(fetcher.fetch(&endless).await, Err(FetchError::Spool(_))));
        let cut = server(vec!["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n12".to_owned()]).await;
        assert!(matches!(fetcher.fetch(&cut).await, Err(FetchError::Unreachable)));
        let absent = server(vec![answer("404 Not Found", "what nobody must learn")]).await;
        let error = fetcher.fetch(&absent).await.unwrap_err();
        assert_eq!(error.to_string(), "its server answered with status 404");
    }

    #[tokio::test]
    async fn of_a_page_only_the_beginning_is_read_and_of_anything_else_nothing() {
        // Files may be longer than what is kept of a page, or shorter: it is no file.
        let (_scratch, fetcher) = fetcher(4, &["127.0.0.1"]);
        let long = "a".repeat(PAGE + 1);
        let head = "200 OK\r\nContent-Type: Text/HTML ;charset=x";
        let page = fetcher.page(&server(vec![answer(head, &long)]).await).await.unwrap().unwrap();
        assert_eq!((page.beginning.len(), page.content_type.as_str()), (PAGE, "Text/HTML ;charset=x"));
        let short = server(vec![to("/there"), answer("200 OK\r\nContent-Type: application/xhtml+xml", "short")]).await;
        assert_eq!(fetcher.page(&short).await.unwrap().unwrap().beginning, b"short");
        for head in ["200 OK", "200 OK\r\nContent-Type: image/png", "200 OK\r\nContent-Type: text/html-not"] {
            assert!(fetcher.page(&server(vec![answer(head, &long)]).await).await.unwrap().is_none(), "{head}");
        }
        let absent = server(vec![answer("404 Not Found\r\nContent-Type: text/html", "")]).await;
        assert!(matches!(fetcher.page(&absent).await, Err(FetchError::Status(404))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_not_waited_for_long() {
        let (_scratch, fetcher) = fetcher(4, &["127.0.0.1"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = format!("http://{}", listener.local_addr().unwrap());
        let begun = tokio::time::Instant::now();
        assert!(matches!(fetcher.page(&silent).await, Err(FetchError::Timeout)));
        assert_eq!(begun.elapsed().as_secs(), PAGE_PATIENCE.as_secs());
    }
}
