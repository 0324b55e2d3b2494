//! Parameters in `multipart/form-data`.

use super::gateway::{Answer, Created, Gateway};

/// A part: its head's parameters, then its text.
fn part(disposition: &str, text: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data{disposition}\r\n\r\n{text}\r\n")
}

fn field(name: &str, value: &str) -> String {
    part(&format!("; name=\"{name}\""), value)
}

async fn post(gateway: &Gateway, path: &str, body: String) -> Answer {
    let request = gateway.request("POST", path).header("Content-Type", "multipart/form-data; boundary=b");
    Answer::of(request.body(body)).await
}

#[tokio::test]
async fn fields_of_a_multipart_form_are_parameters_like_any_other() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let (token, id) = (field("access_token", &token), field("instance_id", id.as_str()));
    let info = "/v2/session/info";
    let whole = format!("{token}{id}--b--\r\n");
    assert_eq!(post(&gateway, info, whole.clone()).await.status, 200);
    assert_eq!(post(&gateway, info, format!("preamble\r\n{whole}epilogue")).await.status, 200);
    assert_eq!(post(&gateway, info, format!("{token}{id}{id}--b--")).await.status, 200, "equal values are fine");
    let conflict = post(&gateway, &format!("{info}?instance_id=000000000000"), whole).await;
    assert_eq!(conflict.error(), (400, "conflicting_parameter".into()));
    let wait = format!("{token}{}--b--", field("wait", "99"));
    assert_eq!(post(&gateway, "/v2/auth/qr", wait).await.error(), (400, "invalid_parameter".into()));
    let unnamed_file = format!("{token}{}--b--", part("; name=\"media\"; filename=\"\"", ""));
    assert_eq!(post(&gateway, info, unnamed_file).await.status, 200, "no file was chosen");
    let token = gateway.key.expose();
    let named = format!("{}{}--b--", field("access_token", token), field("name", "Lager Süd"));
    let created = post(&gateway, "/v2/session/create", named).await;
    assert_eq!(created.json()["name"], "Lager Süd");
}

#[tokio::test]
async fn a_multipart_body_that_cannot_be_read_is_refused_with_its_reason() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let token = field("access_token", &token);
    let info = "/v2/session/info";
    for (body, reason) in [
        (format!("{token}--b"), "before its last boundary"),
        (token[..token.len() - 4].to_owned(), "before its last boundary"),
        ("no boundary".to_owned(), "before its last boundary"),
        (format!("{token}{}--b--", part("", "x")), "no name"),
        (format!("{token}{}--b--", part("; name=\"media\"; filename=\"a.png\"", "x")), "holds a file"),
    ] {
        let answer = post(&gateway, info, body.clone()).await;
        assert_eq!(answer.error(), (400, "malformed_body".into()), "{body}");
        assert!(answer.text().contains(reason), "{body}: {}", answer.text());
    }
    let binary = [token.as_bytes(), b"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\xff\r\n--b--"].concat();
    let request = gateway.request("POST", info).header("Content-Type", "multipart/form-data; boundary=b").body(binary);
    assert!(Answer::of(request).await.text().contains("not UTF-8"));
    let request = gateway.request("POST", info).header("Content-Type", "multipart/form-data").body("--b--");
    assert!(Answer::of(request).await.text().contains("names no boundary"));
    let large = format!("{token}{}--b--", field("x", &"x".repeat(64 * 1024)));
    assert_eq!(post(&gateway, info, large).await.error(), (413, "payload_too_large".into()));
}
