//! Every route of the table, by whoever has no business there. A new route is in the table, so it is here too; one that
//! is open to anybody, or takes no instance, must be named below.

use actix_web::http::Method;
use wagate::api::routes::{self, Route};
use wagate::domain::account::AccountId;
use wagate::domain::token::TokenKind;

use super::super::admin::Operator;
use super::super::gateway::{Answer, Gateway, key};

/// Routes that need no credential.
const OPEN: [&str; 7] =
    ["/about", "/docs", "/docs/{file}", "/health/live", "/health/ready", "/metrics", "/openapi.json"];

/// Routes that are about an account and not about an instance.
const OF_AN_ACCOUNT: [&str; 16] = [
    "/api/qr",
    "/api/v1/qr",
    "/v2/account",
    "/v2/account/keys",
    "/v2/account/keys/rotate",
    "/v2/audit",
    "/v2/session/create",
    "/v2/session/list",
    "/v2/usage",
    "/v2/webhooks",
    "/v2/webhooks/{webhook_id}",
    "/v2/webhooks/{webhook_id}/dead-letters",
    "/v2/webhooks/{webhook_id}/deliveries",
    "/v2/webhooks/{webhook_id}/replay",
    "/v2/webhooks/{webhook_id}/rotate-secret",
    "/v2/webhooks/{webhook_id}/test",
];

/// A group, where a path needs one.
const GROUP: &str = "120363025246125486@g.us";

/// What some route cannot do without; the others do not know it.
const NEEDED: &str = "token_id=00000000-0000-0000-0000-000000000000&phone_number=4915112345678&phone=4915112345678\
    &chatId=4915112345678&message=hello&message_id=3EB0&message_ids=3EB0&latitude=1&longitude=1&name=Tea\
    &participants=4915112345678&question=when&options=now,later&url=https://example.com/hook&dead_letters=true";

/// What two answers must share to be the same to a client: all but the request's id and the time.
fn seen(answer: &Answer) -> (u16, Vec<String>, String) {
    let volatile = ["x-request-id", "date", "ratelimit"];
    let headers = answer.headers.iter().filter(|(name, _)| !volatile.contains(&name.as_str()));
    let mut headers: Vec<String> = headers.map(|header| format!("{header:?}")).collect();
    headers.sort();
    let body = serde_json::from_slice(&answer.body).map_or_else(
        |_| answer.text(),
        |mut body: serde_json::Value| {
            body["request_id"].take();
            body.to_string()
        },
    );
    (answer.status.as_u16(), headers, body)
}

/// Each route that needs a credential, with each of its methods.
fn guarded() -> Vec<(Method, &'static str)> {
    let each = guarded_of(&routes::public());
    assert!(each.len() > 20, "the table is not empty: {each:?}");
    each
}

fn guarded_of(table: &[Route]) -> Vec<(Method, &'static str)> {
    let guarded = table.iter().filter(|route| !OPEN.contains(&route.path));
    guarded.flat_map(|Route { path, methods }| methods.iter().map(move |m| (m.clone(), *path))).collect()
}

#[tokio::test]
async fn without_a_credential_every_route_gives_one_and_the_same_401() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 10_000).await;
    let instance = gateway.create().await.id;
    let mut first = None;
    for (method, path) in guarded() {
        for target in [path.to_owned(), format!("{path}?instance_id={instance}"), format!("{path}?wait=99&scale=x")] {
            let answer = Answer::of(gateway.request(method.as_str(), &target)).await;
            if method == Method::HEAD {
                assert_eq!((answer.status.as_u16(), answer.body.len()), (401, 0), "{target}");
                continue;
            }
            assert_eq!(answer.error(), (401, "unauthorized".into()), "{method} {target}");
            let seen = seen(&answer);
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}");
        }
    }
}

#[tokio::test]
async fn another_tenants_instance_is_absent_on_every_route() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 60);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(60)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await.id;
    let own = gateway.create().await;
    let mut asked = 0;
    for (method, path) in guarded().into_iter().filter(|(_, path)| !OF_AN_ACCOUNT.contains(path)) {
        // Start, stop and restart take a GET only where the account allows it, and say so to anybody.
        let control = ["start", "stop", "restart"].iter().any(|verb| path.ends_with(&format!("/{verb}")));
        if control && method == Method::GET {
            continue;
        }
        asked += 1;
        for token in [gateway.key.expose(), &own.token] {
            let mut first = None;
            for id in [foreign.as_str(), "000000000000", "IIIIIIIIIIII"] {
                let path = path.replace("{group_id}", GROUP);
                let target = format!("{path}?instance_id={id}&{NEEDED}");
                let answer = Answer::of(gateway.request(method.as_str(), &target).bearer_auth(token)).await;
                assert_eq!(answer.status, 404, "{method} {target}: {}", answer.text());
                assert!(!answer.text().contains(id), "the id is not echoed");
                let seen = seen(&answer);
                assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}");
            }
        }
    }
    assert!(asked > 15, "{asked} routes were asked");
    assert_eq!(gateway.get(&format!("/v2/session/info?instance_id={foreign}"), stranger.expose()).await.status, 200);
}

#[tokio::test]
async fn what_is_an_accounts_is_closed_to_the_tokens_of_its_instances() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let mut asked = 0;
    for (method, path) in guarded().into_iter().filter(|(_, path)| OF_AN_ACCOUNT.contains(path)) {
        asked += 1;
        let target = format!("{path}?{NEEDED}");
        let answer = Answer::of(gateway.request(method.as_str(), &target).bearer_auth(&own.token)).await;
        assert_eq!(answer.status, 403, "{method} {target}: {}", answer.text());
    }
    assert!(asked >= OF_AN_ACCOUNT.len(), "{asked} routes were asked");
}

#[tokio::test]
async fn nobody_but_the_operator_is_known_on_the_operators_listener() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 10_000).await;
    let operator = Operator::of(&gateway).await;
    let own = gateway.create().await;
    let account = gateway.account.to_string();
    let each = guarded_of(&routes::operator());
    assert!(each.len() > 5, "the table is not empty: {each:?}");
    let mut first = None;
    for (method, path) in each {
        let target = path.replace("{account_id}", &account);
        for token in ["nonsense", gateway.key.expose(), own.token.as_str()] {
            let answer = Answer::of(operator.request(method.as_str(), &target).bearer_auth(token)).await;
            assert_eq!(answer.status, 401, "{method} {target}: {}", answer.text());
            if method != Method::HEAD {
                let seen = seen(&answer);
                assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {target}");
            }
        }
    }
}

#[tokio::test]
async fn the_operators_key_opens_nothing_on_the_public_listener() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 10_000).await;
    let operator = key(TokenKind::Operator, 61);
    gateway.add_token(&operator, wagate::store::token::Holder::Operator, &[], None).await;
    for (method, path) in guarded() {
        let answer = Answer::of(gateway.request(method.as_str(), path).bearer_auth(operator.expose())).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    let public = routes::public();
    for path in routes::operator().iter().map(|route| route.path) {
        // Both listeners tell of the node's health.
        if public.iter().any(|route| route.path == path) {
            continue;
        }
        let answer = gateway.get(&path.replace("{account_id}", &gateway.account.to_string()), operator.expose()).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{path}");
    }
}
