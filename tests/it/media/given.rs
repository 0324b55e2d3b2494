//! `GET /v2/media/{message_id}`.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_each_kind_is_given_out_as_the_phone_sent_it() {
    let scene = Scene::new().await;
    for (message, media_type, name) in [
        (json!({ "kind": "image", "mimetype": "image/jpeg", "caption": "look" }), "image/jpeg", ".jpg"),
        (json!({ "kind": "video" }), "video/mp4", ".mp4"),
        (json!({ "kind": "audio" }), "audio/mpeg", ".mp3"),
        (json!({ "kind": "voice" }), "audio/ogg; codecs=opus", ".ogg"),
        (json!({ "kind": "sticker" }), "image/webp", ".webp"),
        (
            json!({ "kind": "document", "filename": "Prüfung 1.pdf", "mimetype": "application/pdf" }),
            "application/pdf",
            "_fung 1.pdf",
        ),
    ] {
        let file = bytes(70_001);
        let id = scene.receive(message.clone(), &file).await;
        let answer = scene.file(&id).await;
        assert_eq!(header(&answer, "content-type"), media_type);
        assert_eq!(header(&answer, "content-length"), "70001");
        assert_eq!(header(&answer, "accept-ranges"), "bytes");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        let disposition = header(&answer, "content-disposition").to_owned();
        assert!(disposition.contains(name), "{disposition}");
        assert_eq!(disposition.starts_with("attachment"), message["kind"] == "document", "{disposition}");
        assert!(answer.bytes().await.unwrap() == file, "{message}: it is another file");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_given_out_and_a_version_that_is_known_is_not_sent_again() {
    let scene = Scene::new().await;
    let file = bytes(100_000);
    let id = scene.receive(picture(), &file).await;
    let etag = header(&scene.file(&id).await, "etag").to_owned();
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=17-31", 17..32),
        ("bytes=99990-", 99_990..100_000),
        ("bytes=-100", 99_900..100_000),
        ("bytes=65530-65560", 65_530..65_561),
        ("bytes=16-", 16..100_000),
    ] {
        let answer = scene.ask(&id, &[("range", range), ("if-range", &etag)]).await;
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        let told = format!("bytes {}-{}/100000", part.start, part.end - 1);
        assert_eq!(header(&answer, "content-range"), told);
        assert!(answer.bytes().await.unwrap() == file[part], "{range}: it is another part");
    }
    let beyond = scene.ask(&id, &[("range", "bytes=100000-")]).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(header(&beyond, "content-range"), "bytes */100000");
    assert_eq!(code(&beyond.bytes().await.unwrap()), "range_not_satisfiable");

    let another = scene.ask(&id, &[("range", "bytes=0-0"), ("if-range", "\"another\"")]).await;
    assert_eq!((another.status(), another.content_length()), (StatusCode::OK, Some(100_000)));
    let known = scene.ask(&id, &[("if-none-match", &etag)]).await;
    assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_nobody_elses_and_one_without_a_message_is_not_found() {
    let scene = Scene::new().await;
    let id = scene.receive(picture(), b"a picture").await;
    scene.file(&id).await;
    for unknown in ["3EB0000000000000000000", "..%2F..%2Fetc%2Fpasswd", "%00"] {
        let answer = scene.ask(unknown, &[]).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{unknown}");
        assert_eq!(code(&answer.bytes().await.unwrap()), "media_not_found", "{unknown}");
    }
    let (status, account) = scene.gateway.operator.post("/v2/admin/accounts", &json!({ "name": "stranger" })).await;
    assert_eq!(status, StatusCode::CREATED, "{account}");
    let stranger = scene.ask_as(account["key"]["access_token"].as_str().unwrap(), &id, &[]).await;
    assert_eq!(stranger.status(), StatusCode::NOT_FOUND);
    assert_eq!(code(&stranger.bytes().await.unwrap()), "session_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_brought_here_is_given_out_without_whatsapp_and_one_that_was_not_waits_for_the_session() {
    let scene = Scene::new().await;
    let brought = scene.receive(picture(), b"the first").await;
    assert_eq!(scene.file(&brought).await.bytes().await.unwrap(), "the first");
    let left = scene.receive(picture(), b"the second").await;
    // It has come when the one after it has.
    let last = scene.receive(picture(), b"the third").await;
    scene.file(&last).await;
    let (status, _) = scene.gateway.client.post("/v2/session/stop", &json!({ "instance_id": scene.instance })).await;
    assert_eq!(status, StatusCode::OK);
    scene.gateway.client.reaches(&scene.instance, "STOPPED").await;
    assert_eq!(scene.file(&brought).await.bytes().await.unwrap(), "the first");
    let answer = scene.ask(&left, &[]).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(code(&answer.bytes().await.unwrap()), "session_status_mismatch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_larger_than_is_taken_is_refused_and_says_why() {
    let scene = Scene::on(Gateway::with(|config| config.media.max_bytes = 1000).await).await;
    let id = scene.receive(picture(), &bytes(2000)).await;
    let answer = until("the message has come", || async {
        let answer = scene.ask(&id, &[]).await;
        (answer.status() != StatusCode::NOT_FOUND).then_some(answer)
    })
    .await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(code(&answer.bytes().await.unwrap()), "media_unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_is_encrypted_and_goes_with_its_instance() {
    let mut scene = Scene::new().await;
    let id = scene.receive(picture(), b"a secret that nobody must read").await;
    scene.file(&id).await;
    let files = scene.gateway.kept_files();
    assert_eq!(files.len(), 1, "{files:?}");
    let kept = std::fs::read(&files[0]).unwrap();
    assert!(!kept.windows(6).any(|window| window == b"secret"));
    let (status, _) = scene.gateway.client.post("/v2/session/delete", &json!({ "instance_id": scene.instance })).await;
    assert_eq!(status, StatusCode::OK);
    // It is noise from now on, and is swept up every ten minutes and by each start.
    scene.gateway.restart().await;
    until("the file is removed", || async { scene.gateway.kept_files().is_empty().then_some(()) }).await;
}
