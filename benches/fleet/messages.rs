//! Messages through the whole of it: texts a second through the API until WhatsApp's acknowledgement, and events a second
//! from the wire to a webhook that answers at once.
//!
//! Everything runs on one machine: the sandbox's phones, the gateway, its private PostgreSQL (with `fsync`) and the
//! customer. So each figure comes with whose processor time it was; the rate alone says more about the machine.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::house::{House, Linked};

/// Linked instances, each with a correspondent.
const INSTANCES: usize = 8;
/// Rounds each way; the median is told.
const ROUNDS: usize = 3;

pub(super) async fn measure(messages: usize) {
    let house = House::start(&[
        ("WAGATE_LIMITS__API_PER_SECOND", "1000000"),
        ("WAGATE_LIMITS__MESSAGES_PER_MINUTE", "6000"),
        ("WAGATE_LIMITS__MESSAGES_PER_DAY", "1000000"),
        ("WAGATE_WEBHOOK__ALLOW_PRIVATE", "[\"127.0.0.0/8\"]"),
    ]);
    let (url, received) = receiver();
    let hook = house.post("/v2/webhooks", json!({ "url": url, "events": ["message"] })).await;
    assert!(hook["webhook_id"].is_string(), "{hook}");
    let mut pairs = Vec::new();
    for number in 0..INSTANCES {
        let Linked { instance, number, .. } = house.link(number).await;
        let friend = house.phone("/phones", json!({})).await["number"].as_str().unwrap().to_owned();
        pairs.push((instance, number, friend));
    }
    let (rounds, a_round) = (ROUNDS, messages / INSTANCES / ROUNDS);

    let mut out = Vec::new();
    for _ in 0..rounds {
        let usage = Usage::of(&house);
        let begun = Instant::now();
        let chats = stream::iter(&pairs).map(|(instance, _, friend)| {
            let house = &house;
            async move {
                for nth in 0..a_round {
                    let text = json!({ "instance_id": instance, "chatId": friend, "message": format!("text {nth}") });
                    let answer = house.post("/v2/send/text", text).await;
                    // The phone may have it before the answer is made.
                    assert!(matches!(answer["status"].as_str(), Some("sent" | "delivered")), "{answer}");
                }
            }
        });
        chats.buffer_unordered(INSTANCES).collect::<Vec<()>>().await;
        out.push((begun.elapsed(), Usage::of(&house).since(&usage)));
    }
    report("texts through the API, each acknowledged before the next of its chat", a_round * INSTANCES, out);

    let mut inward = Vec::new();
    for _ in 0..rounds {
        let (usage, before) = (Usage::of(&house), received.load(Ordering::Relaxed));
        let begun = Instant::now();
        let chats = stream::iter(&pairs).map(|(_, number, friend)| {
            let house = &house;
            async move {
                for nth in 0..a_round {
                    let text = json!({ "to": number, "text": format!("text {nth}") });
                    let answer = house.phone(&format!("/phones/{friend}/send"), text).await;
                    assert!(answer["id"].is_string(), "{answer}");
                }
            }
        });
        chats.buffer_unordered(INSTANCES).collect::<Vec<()>>().await;
        while received.load(Ordering::Relaxed) < before + a_round * INSTANCES {
            assert!(begun.elapsed() < Duration::from_mins(5), "{} of them came", received.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        inward.push((begun.elapsed(), Usage::of(&house).since(&usage)));
    }
    report("texts from a phone to the webhook", a_round * INSTANCES, inward);
}

fn report(what: &str, messages: usize, mut rounds: Vec<(Duration, Usage)>) {
    rounds.sort_by_key(|(took, _)| *took);
    let messages = f64::from(u32::try_from(messages).unwrap());
    let rate = |took: Duration| messages / took.as_secs_f64();
    let (median, usage) = &rounds[rounds.len() / 2];
    let Usage { gateway, database, sandbox } = usage;
    let each = |time: &Duration| time.as_secs_f64() * 1e6 / messages;
    println!("{what}: {messages:.0} a round, {INSTANCES} instances");
    println!(
        "  median {:.0} a second (rounds: {:.0} to {:.0})",
        rate(*median),
        rate(rounds[rounds.len() - 1].0),
        rate(rounds[0].0)
    );
    println!(
        "  processor time each: gateway {:.0} us, PostgreSQL {:.0} us, sandbox {:.0} us",
        each(gateway),
        each(database),
        each(sandbox)
    );
    let share = database.as_secs_f64() / (database.as_secs_f64() + gateway.as_secs_f64());
    println!("  PostgreSQL's share of gateway and PostgreSQL: {:.0} %", share * 100.0);
}

/// Processor time since a process began.
struct Usage {
    gateway: Duration,
    database: Duration,
    sandbox: Duration,
}

impl Usage {
    fn of(house: &House) -> Self {
        let postmaster = house.postmaster();
        // The pool's backends live as long as the bench; those that end take their time along.
        let backends = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let (parent, time) = stat(pid)?;
            (pid == postmaster || parent == postmaster).then_some(time)
        });
        let time = |pid| stat(pid).unwrap().1;
        Self { gateway: time(house.gateway.pid()), database: backends.sum(), sandbox: time(house.sandbox.pid()) }
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            gateway: self.gateway.saturating_sub(before.gateway),
            database: self.database.saturating_sub(before.database),
            sandbox: self.sandbox.saturating_sub(before.sandbox),
        }
    }
}

/// The parent of a process and its processor time, in user and in system; proc(5). `None` if it is gone.
fn stat(pid: u32) -> Option<(u32, Duration)> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold anything, but it ends at the last bracket.
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
    // A tick is 10 ms on every Linux of today.
    Some((fields[1].parse().ok()?, Duration::from_millis(ticks * 10)))
}

/// A webhook's receiver that answers at once, and how much it was sent.
fn receiver() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let received = Arc::new(AtomicUsize::new(0));
    let counter = web::Data::from(Arc::clone(&received));
    let server = HttpServer::new(move || App::new().app_data(counter.clone()).route("/hook", web::post().to(count)))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    tokio::spawn(server);
    (url, received)
}

async fn count(received: web::Data<AtomicUsize>, event: web::Json<Value>) -> HttpResponse {
    if event["payload"]["fromMe"] == false {
        received.fetch_add(1, Ordering::Relaxed);
    }
    HttpResponse::Ok().finish()
}
