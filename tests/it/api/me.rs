//! Who an instance is.

use serde_json::json;
use wagate::domain::session::{Reason, Status};
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::token::Holder;

use super::gateway::{Answer, Created, Gateway, key};

const ME: &str = "/v2/session/me";

#[tokio::test]
async fn a_linked_instance_tells_who_it_is_whether_or_not_it_is_connected() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.link(id);
    let profile = json!({"id": "201012345678@c.us", "lid": "99887766554433@lid", "pushName": "John Doe"});
    for status in [Status::Working, Status::Stopped, Status::Starting] {
        gateway.script.set(id, |view| view.status = status);
        let answer = gateway.get(ME, &token).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, profile.clone()), "{status}");
    }
    let head = Answer::of(gateway.request("HEAD", ME).bearer_auth(&token)).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let posted = gateway.post(ME, &token, json!({})).await;
    assert_eq!((posted.error(), posted.header("allow")), ((405, "method_not_allowed".into()), "GET, HEAD"));
}

#[tokio::test]
async fn an_instance_that_is_not_linked_is_nobody() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.set(id, |view| (view.status, view.reason) = (Status::Failed, Some(Reason::LoggedOut)));
    let answer = gateway.get(ME, &token).await;
    assert_eq!(answer.error(), (422, "session_status_mismatch".into()));
    let body = answer.json();
    assert_eq!((&body["session_status"], &body["expected"]), (&json!("FAILED"), &json!(["WORKING"])));
    assert_eq!((&body["recovering"], answer.header("retry-after")), (&json!(false), ""));
    // Linked, while the profile is not known yet.
    gateway.script.set(id, |view| view.linked = true);
    let answer = gateway.get(ME, &token).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((422, "session_status_mismatch".into()), "10"));
}

#[tokio::test]
async fn who_an_instance_is_takes_the_scope_read() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    gateway.script.link(created.id);
    for (seed, scope, status) in [(81, Scope::Read, 200), (82, Scope::Link, 403), (83, Scope::Control, 403)] {
        let token = key(TokenKind::Instance, seed);
        gateway.add_token(&token, Holder::Instance(gateway.account, created.id), &[scope], None).await;
        assert_eq!(gateway.get(ME, token.expose()).await.status, status, "{scope:?}");
    }
}
