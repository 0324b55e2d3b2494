//! Where a delivery goes, and where it never does.

use std::net::SocketAddr;

use wagate::webhook::target::SystemNames;

use super::office::{Leading, Office, SHOP};
use crate::support::receiver::{Receiver, Reply};
use crate::support::wait::until;

async fn outcomes(office: &Office) -> Vec<String> {
    sqlx::query_scalar("SELECT outcome || COALESCE(' ' || status, '') FROM webhook_delivery ORDER BY id")
        .fetch_all(office.house.pool())
        .await
        .unwrap()
}

async fn has_outcomes(office: &Office, count: usize) -> Vec<String> {
    until("it was tried", || async {
        let outcomes = outcomes(office).await;
        (outcomes.len() >= count).then_some(outcomes)
    })
    .await
}

#[tokio::test]
async fn a_redirect_is_a_refusal_and_not_followed() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::With(302, "Location: http://169.254.169.254/latest/meta-data/")).await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    assert_eq!(has_outcomes(&office, 1).await, ["refused 302"]);
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn an_address_that_may_no_longer_be_dialled_is_not() {
    let mut office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    // The operator takes the network back.
    office.config.allow_private.clear();
    let _worker = office.worker_by(1, std::sync::Arc::new(SystemNames)).await;
    office.happen(owned, 1).await;
    assert_eq!(has_outcomes(&office, 1).await, ["address_refused"]);
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_next_time_is_judged_anew() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    // It ends the connection with its answer, so that the next delivery resolves the name again.
    let allowed = Receiver::scripted(|_| Reply::With(200, "Connection: close")).await;
    let metadata: SocketAddr = "169.254.169.254:80".parse().unwrap();
    let inside = Receiver::start().await;
    let names = Leading::new([allowed.address, metadata]);
    let url = format!("http://hooks.example.com:{}/", allowed.address.port());
    office.webhook(&url, |_, _| {}).await;
    let _worker = office.worker_by(1, names).await;
    office.happen(owned, 1).await;
    allowed.has(1).await;
    office.happen(owned, 1).await;
    assert_eq!(has_outcomes(&office, 2).await, ["delivered 200", "address_refused"]);
    assert!(inside.received().is_empty());
}

#[tokio::test]
async fn where_nobody_listens_it_is_unreachable_and_where_nobody_answers_it_times_out() {
    let mut office = Office::new().await;
    office.config.timeout = std::time::Duration::from_millis(300);
    let owned = office.house.instance(SHOP).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    office.webhook(&format!("http://{nobody}/"), |_, _| {}).await;
    let worker = office.worker(1).await;
    office.happen(owned, 1).await;
    assert_eq!(has_outcomes(&office, 1).await, ["unreachable"]);
    worker.stop().await;
    let hanging = Receiver::scripted(|_| Reply::Hang).await;
    office.told(&hanging).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    assert_eq!(has_outcomes(&office, 2).await, ["unreachable", "timed_out"]);
}
