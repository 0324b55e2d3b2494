//! What open link pages cost: resident memory of the gateway for each page's stream, and how long a new code takes to reach
//! all of them.
//!
//! All pages are of one link, so that one rotation is news to every one of them at the same instant; the readers share the
//! machine with the gateway.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::house::{House, resident};

/// Pages that are opened at the same time.
const AT_ONCE: usize = 64;

/// Pages from one source address: the system hands out some 28,000 ports for each.
const PAGES_AN_ADDRESS: usize = 5_000;

/// Pages that fill caches, pools and the allocator; what these cost belongs to the process.
const WARM: usize = 200;

/// Rotations that are measured.
const ROTATIONS: usize = 7;

/// Codes rotate this much faster: every 5 s, after a first that lives for 15 s.
const HURRY: u32 = 4;

/// A code that a page was shown: which one, and when.
struct Seen {
    expires_at: i64,
    at: Instant,
}

pub(super) async fn measure(pages: usize) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let most = (pages + WARM).to_string();
    let settings = [
        ("WAGATE_EVENTS__MAX_STREAMS", most.as_str()),
        ("WAGATE_EVENTS__MAX_STREAMS_PER_ACCOUNT", &most),
        // Every page is opened with the same link, and asks for codes.
        ("WAGATE_LIMITS__QR_PER_SECOND", "100000"),
        ("WAGATE_LIMITS__QR_BURST", "100000"),
        ("WAGATE_LIMITS__API_PER_SECOND", "100000"),
        ("WAGATE_LIMITS__API_BURST", "100000"),
    ];
    let house = House::start(&settings);
    house.phone("/clock", json!({ "rotation_factor": HURRY })).await;
    let url = house.gateway.told("url");
    let path = link(&house, url).await;
    let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();

    let (seen, mut sights) = mpsc::unbounded_channel();
    let open = |number: usize| {
        let (path, seen) = (path.clone(), seen.clone());
        async move {
            let opened = page(server, number, &path).await;
            // It goes on until the bench ends.
            drop(tokio::spawn(follow(opened, seen)));
        }
    };
    stream::iter(0..WARM).map(open).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    first_sight(&mut sights, WARM).await;
    let before = resident(&house.gateway);
    let begun = Instant::now();
    stream::iter(WARM..WARM + pages).map(open).buffer_unordered(AT_ONCE).for_each(|()| async {}).await;
    println!("pages opened: {pages} (after {WARM} to warm up), {AT_ONCE} at a time, in {:.1?}", begun.elapsed());

    let mut spreads = spreads(&mut sights, pages + WARM, Instant::now()).await;
    let after = resident(&house.gateway);
    spreads.sort();
    let each = after.saturating_sub(before) * 1024 / pages as u64;
    println!("resident memory of the gateway: {before} KiB before, {after} KiB after {ROTATIONS} rotations");
    println!("  per open page: {each} bytes (aim: 15000)");
    println!(
        "a new code from the first page to the last: median {:.0?} (aim: 1s), worst {:.0?}",
        spreads[ROTATIONS / 2],
        spreads[ROTATIONS - 1]
    );
}

/// The path of a new link's stream.
async fn link(house: &House, url: &str) -> String {
    let created = house.post("/v2/session/create", json!({ "name": "bench" })).await;
    let shown = house.post("/v2/session/temp-link", json!({ "instance_id": created["instance_id"] })).await;
    let path = shown["link"].as_str().unwrap().strip_prefix(url).unwrap();
    format!("{path}/events?show=true")
}

/// Opens a page's stream.
async fn page(server: SocketAddr, number: usize, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let source = format!("127.0.0.{}:0", 1 + number / PAGES_AN_ADDRESS);
    socket.bind(source.parse().unwrap()).unwrap();
    let mut stream = socket.connect(server).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {server}\r\naccept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads what a page is told, and reports each code.
async fn follow(mut stream: TcpStream, seen: mpsc::UnboundedSender<Seen>) {
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        if read == 0 {
            assert!(seen.is_closed(), "the gateway ended a stream while all was measured");
            return;
        }
        let at = Instant::now();
        for part in buffer[..read].split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.ends_with(b"\n") {
                if let Some(expires_at) = expiry(&line) {
                    // Nobody counts any more once all is measured.
                    let _ = seen.send(Seen { expires_at, at });
                }
                line = Vec::new();
            }
        }
    }
}

/// When the code in a line of the stream rotates out, if there is one.
fn expiry(line: &[u8]) -> Option<i64> {
    let told: Value = serde_json::from_slice(line.strip_prefix(b"data: ")?).ok()?;
    told["qr"]["expires_at"].as_i64()
}

/// Waits until this many pages have seen a code.
async fn first_sight(sights: &mut mpsc::UnboundedReceiver<Seen>, pages: usize) {
    for _ in 0..pages {
        sights.recv().await.unwrap();
    }
}

/// How long each of the next rotations took from the first page that saw its code to the last. A code that came before all
/// pages were open, at `opened`, is no measure: each saw it when it was opened.
async fn spreads(sights: &mut mpsc::UnboundedReceiver<Seen>, pages: usize, opened: Instant) -> Vec<Duration> {
    let mut codes: BTreeMap<i64, (usize, Instant, Instant)> = BTreeMap::new();
    let mut found = Vec::new();
    while found.len() < ROTATIONS {
        let Seen { expires_at, at } = sights.recv().await.unwrap();
        let (count, first, last) = codes.entry(expires_at).or_insert((0, at, at));
        (*count, *first, *last) = (*count + 1, at.min(*first), at.max(*last));
        if *count == pages && *first > opened {
            found.push(*last - *first);
        }
    }
    found
}
