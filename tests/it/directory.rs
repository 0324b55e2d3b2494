//! People, chats and groups through the API, on the real protocol, and what the phones of the network see of it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::network::{Network, http};
use crate::support::wait::until;

/// A linked instance and its number.
struct Scene {
    gateway: Gateway,
    instance: String,
    number: String,
}

impl Scene {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        let (instance, number) = gateway.client.linked(&gateway.network).await;
        Self { gateway, instance, number }
    }

    fn network(&self) -> &Network {
        &self.gateway.network
    }

    fn client(&self) -> &Client {
        &self.gateway.client
    }

    async fn call(&self, method: Method, path: &str, mut body: Value) -> (u16, Value) {
        body["instance_id"] = self.instance.as_str().into();
        let (status, body) = self.client().call(method, path, &body).await;
        (status.as_u16(), body)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, json!({})).await
    }

    /// The group, as the network has it.
    async fn group(&self, id: &str) -> Value {
        let groups = self.network().get("/groups").await;
        groups.as_array().unwrap().iter().find(|group| group["jid"] == id).cloned().unwrap()
    }

    /// A group of the instance with these people, through the API.
    async fn made(&self, participants: &[&str]) -> Value {
        let (status, group) = self.post("/v2/groups", json!({ "name": "Tea", "participants": participants })).await;
        assert_eq!(status, 201, "{group}");
        group
    }

    /// A phone's own group, in which the instance is a member or not.
    async fn of_a_phone(&self, phone: &str, with_us: bool) -> String {
        let participants = if with_us { vec![self.number.as_str()] } else { vec![] };
        let body = json!({ "creator": phone, "subject": "Theirs", "participants": participants });
        let (status, group) = self.network().post("/groups", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{group}");
        group["jid"].as_str().unwrap().to_owned()
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_of_the_network_are_known_and_others_are_not() {
    let scene = Scene::new().await;
    let (status, phone) = scene.network().post("/phones", &json!({ "number": "4915112345678" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, told) = scene.get("/v2/contacts/check?phone=%2B49+1511+2345678").await;
    let expected = json!({
        "phone": "4915112345678", "numberExists": true, "chatId": "4915112345678@c.us", "lid": phone["lid"],
    });
    assert_eq!((status, told), (200, expected));
    let phones = json!({ "phones": ["4915100000001", scene.number, "4915112345678"] });
    let (status, told) = scene.post("/v2/contacts/check", phones).await;
    assert_eq!(status, 200, "{told}");
    let exist = told["results"].as_array().unwrap().iter().map(|result| result["numberExists"].clone());
    assert_eq!(exist.collect::<Vec<_>>(), [json!(false), json!(true), json!(true)]);
    assert_eq!(told["results"][0]["chatId"], Value::Null);
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_told_as_long_as_its_owner_has_one() {
    let scene = Scene::new().await;
    let phone = scene.network().phone().await;
    let path = format!("/v2/contacts/profile-picture?chatId={phone}@c.us");
    assert_eq!(scene.get(&path).await, (200, json!({ "url": null })));
    let set = format!("/phones/{phone}/picture");
    assert_eq!(scene.network().post(&set, &json!({ "data": "c21pbGU=" })).await.0, StatusCode::OK);
    let (status, told) = scene.get(&path).await;
    assert_eq!(status, 200, "{told}");
    let url = told["url"].as_str().unwrap().replacen("https://", "http://", 1);
    assert_eq!(http().get(url).send().await.unwrap().text().await.unwrap(), "smile");
    assert_eq!(scene.network().post(&set, &json!({ "data": null })).await.0, StatusCode::OK);
    assert_eq!(scene.get(&path).await, (200, json!({ "url": null })));
    let group = scene.of_a_phone(&phone, true).await;
    let path = format!("/v2/contacts/profile-picture?chatId={group}");
    assert_eq!(scene.get(&path).await, (200, json!({ "url": null })));
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_made_and_its_members_come_and_go() {
    let scene = Scene::new().await;
    let (one, two) = (scene.network().phone().await, scene.network().phone().await);
    let group = scene.made(&[&one]).await;
    let id = group["id"].as_str().unwrap().to_owned();
    let path = format!("/v2/groups/{id}");
    assert_eq!((&group["name"], &group["size"]), (&json!("Tea"), &json!(2)));
    let admin = format!("{}@c.us", scene.number);
    assert_eq!(group["owner"]["id"], admin);
    let roles = group["participants"].as_array().unwrap().iter();
    let roles: Vec<_> = roles.map(|one| (one["id"].as_str().unwrap(), one["role"].as_str().unwrap())).collect();
    assert!(roles.contains(&(admin.as_str(), "superadmin")), "{group}");
    assert!(roles.contains(&(format!("{one}@c.us").as_str(), "member")), "{group}");
    let seen = scene.group(&id).await;
    assert_eq!((&seen["subject"], seen["participants"].as_array().unwrap().len()), (&json!("Tea"), 2));
    assert_eq!(seen["admins"], json!([scene.number]));

    let participants = format!("{path}/participants");
    let (status, told) = scene.post(&participants, json!({ "participants": [one, two, "4915100000001"] })).await;
    assert_eq!(status, 200, "{told}");
    let outcomes = |told: &Value| {
        let outcomes = told["participants"].as_array().unwrap().iter();
        outcomes.map(|one| (one["outcome"].clone(), one["code"].clone())).collect::<Vec<_>>()
    };
    let expected = [("already_member", 409), ("done", 200), ("not_found", 404)];
    assert_eq!(outcomes(&told), expected.map(|(outcome, code)| (json!(outcome), json!(code))));
    assert_eq!(scene.group(&id).await["participants"].as_array().unwrap().len(), 3);

    let gone = json!({ "participants": [one, "4915100000001"] });
    let (status, told) = scene.call(Method::DELETE, &participants, gone).await;
    assert_eq!(status, 200, "{told}");
    let expected = [("done", 200), ("not_found", 404)];
    assert_eq!(outcomes(&told), expected.map(|(outcome, code)| (json!(outcome), json!(code))));
    assert!(!scene.group(&id).await["participants"].as_array().unwrap().contains(&json!(one)));

    let (status, listed) = scene.get("/v2/groups").await;
    assert_eq!((status, &listed["groups"][0]["id"], &listed["groups"][0]["size"]), (200, &json!(id), &json!(2)));
    let (status, shown) = scene.get(&path).await;
    assert_eq!((status, &shown), (200, &listed["groups"][0]));

    let (status, left) = scene.post(&format!("{path}/leave"), json!({})).await;
    assert_eq!((status, left), (200, json!({ "id": id, "left": true })));
    assert_eq!(scene.group(&id).await["participants"], json!([two]));
    assert_eq!(code(&scene.get(&path).await), (422, "group_forbidden"));
    assert_eq!(scene.get("/v2/groups").await.1, json!({ "groups": [] }));
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_code_is_told_to_admins_and_a_revoked_one_is_another() {
    let scene = Scene::new().await;
    let phone = scene.network().phone().await;
    let group = scene.made(&[&phone]).await;
    let path = format!("/v2/groups/{}/invite-code", group["id"].as_str().unwrap());
    let (status, invite) = scene.get(&path).await;
    let seen = scene.group(group["id"].as_str().unwrap()).await;
    assert_eq!((status, &invite["inviteCode"]), (200, &seen["invite_code"]));
    let link = format!("https://chat.whatsapp.com/{}", invite["inviteCode"].as_str().unwrap());
    assert_eq!(invite["link"], link);
    let (status, revoked) = scene.post(&format!("{path}/revoke"), json!({})).await;
    assert_eq!(status, 200, "{revoked}");
    assert_ne!(revoked["inviteCode"], invite["inviteCode"]);
    assert_eq!(scene.get(&path).await.1, revoked);
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_group_does_not_allow_is_a_refusal_with_a_code() {
    let scene = Scene::new().await;
    let phone = scene.network().phone().await;
    let of_others = scene.of_a_phone(&phone, false).await;
    let as_member = scene.of_a_phone(&phone, true).await;
    let nowhere = "120363000000000000@g.us";
    let people = json!({ "participants": [phone] });
    for (group, expected) in [(of_others.as_str(), "group_forbidden"), (nowhere, "group_not_found")] {
        let path = format!("/v2/groups/{group}");
        for (method, path, body) in [
            (Method::GET, path.clone(), json!({})),
            (Method::GET, format!("{path}/invite-code"), json!({})),
            (Method::POST, format!("{path}/invite-code/revoke"), json!({})),
            (Method::POST, format!("{path}/participants"), people.clone()),
            (Method::DELETE, format!("{path}/participants"), people.clone()),
        ] {
            let answer = scene.call(method, &path, body).await;
            assert_eq!(code(&answer), (422, expected), "{path}: {answer:?}");
        }
    }
    let path = format!("/v2/groups/{as_member}");
    assert_eq!(scene.get(&path).await.0, 200);
    assert_eq!(code(&scene.get(&format!("{path}/invite-code")).await), (422, "group_forbidden"));
    let removed = scene.call(Method::DELETE, &format!("{path}/participants"), people).await;
    assert_eq!(code(&removed), (422, "group_forbidden"));
    assert!(scene.group(&as_member).await["participants"].as_array().unwrap().contains(&json!(phone)));
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_s_marks_are_seen_by_the_phone_whichever_device_sets_them() {
    let scene = Scene::new().await;
    let phone = scene.network().phone().await;
    let chat = format!("{phone}@s.whatsapp.net");
    let seen = async || scene.network().get(&format!("/phones/{}/chats", scene.number)).await[&chat].clone();
    for (route, expected) in [
        ("read", json!({ "archived": false, "read": true })),
        ("archive", json!({ "archived": true, "read": true })),
        ("unread", json!({ "archived": true, "read": false })),
        ("unarchive", json!({ "archived": false, "read": false })),
        ("archive", json!({ "archived": true, "read": false })),
    ] {
        let (status, told) = scene.post(&format!("/v2/chats/{route}"), json!({ "chatId": phone })).await;
        assert_eq!((status, &told["chatId"]), (200, &json!(format!("{phone}@c.us"))), "{told}");
        assert_eq!(seen().await, expected, "{route}");
    }

    // Another device of the same account builds on what this one has done, and this one on what that has.
    let second = scene.client().create("second").await;
    scene.client().scan(scene.network(), &second, &scene.number).await;
    scene.client().reaches(&second, "WORKING").await;
    let body = json!({ "instance_id": second, "chatId": phone });
    let (status, told) = scene.client().post("/v2/chats/unarchive", &body).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(seen().await["archived"], false);
    let (status, told) = scene.post("/v2/chats/archive", json!({ "chatId": phone })).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(seen().await["archived"], true);
    scene.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_for_an_instance_that_rests_and_all_again_once_it_is_back() {
    let scene = Scene::new().await;
    let (status, _) = scene.post("/v2/session/stop", json!({})).await;
    assert_eq!(status, 200);
    scene.client().reaches(&scene.instance, "STOPPED").await;
    let answer = scene.get("/v2/groups").await;
    assert_eq!(code(&answer), (422, "session_status_mismatch"), "{answer:?}");
    assert_eq!(answer.1["recovering"], false);
    let (status, _) = scene.post("/v2/session/start", json!({})).await;
    assert_eq!(status, 200);
    scene.client().reaches(&scene.instance, "WORKING").await;
    until("the groups are told", || async { (scene.get("/v2/groups").await.0 == 200).then_some(()) }).await;
    scene.gateway.stop().await;
}
