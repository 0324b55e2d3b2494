//! What a node sends to the owner of an instance, and what becomes of the owner's answer.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use parking_lot::Mutex;
use serde_json::json;
use wagate::cluster::Owner;

use super::gateway::{Answer, Gateway};

/// A node that gives one answer to everything.
struct Peer {
    owner: Owner,
    /// Request lines, some headers, bodies.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    fn answering(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = Owner::Elsewhere { addr: listener.local_addr().unwrap().to_string() };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let handler = move |request: HttpRequest, body: String| {
            let header = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            let [key, hop] = ["x-api-key", "x-hop"].map(header);
            log.lock().push(format!("{} {} {key} {hop} {body}", request.method(), request.uri()));
            let answer = HttpResponse::build(StatusCode::from_u16(status).unwrap())
                .insert_header(("content-type", "text/owner"))
                .append_header(("x-twice", "1"))
                .append_header(("x-twice", "2"))
                .body("the owner's");
            async move { answer }
        };
        let server = HttpServer::new(move || App::new().default_service(web::to(handler.clone())));
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        Self { owner, asked }
    }

    fn times_asked(&self) -> usize {
        self.asked.lock().len()
    }
}

#[tokio::test]
async fn a_request_travels_as_it_came_and_the_answer_comes_back_whole() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let peer = Peer::answering(418);
    gateway.script.owners.lock().push_back(peer.owner.clone());
    let path = format!("/v2/auth/qr?instance_id={id}&wait=0&x=%7B|");
    let request = gateway.request("POST", &path).header("x-api-key", gateway.key.expose());
    let answer = Answer::of(request.header("connection", "x-hop").header("x-hop", "1").body("{ \"scale\": 8 }")).await;
    let key = gateway.key.expose();
    assert_eq!(*peer.asked.lock(), [format!("POST {path} {key} - {{ \"scale\": 8 }}")]);
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (418, "the owner's"));
    assert_eq!(answer.header("content-type"), "text/owner");
    assert_eq!(answer.headers.get_all("x-twice").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert!(gateway.script.calls.lock().iter().all(|call| call == "start"), "it was served here too");
}

#[tokio::test]
async fn a_head_brings_the_head_of_the_owners_answer() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let peer = Peer::answering(200);
    gateway.script.owners.lock().push_back(peer.owner.clone());
    let path = format!("/v2/session/info?instance_id={id}");
    let answer = Answer::of(gateway.request("HEAD", &path).bearer_auth(gateway.key.expose())).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, "11", 0));
    assert_eq!(*peer.asked.lock(), [format!("GET {path} - - ")]);
}

#[tokio::test]
async fn an_owner_that_is_none_any_more_costs_one_more_look() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let (former, owner) = (Peer::answering(421), Peer::answering(200));
    gateway.script.owners.lock().extend([former.owner.clone(), owner.owner.clone()]);
    let answer = gateway.post("/v2/session/stop", gateway.key.expose(), json!({ "instance_id": id })).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "the owner's"));
    assert_eq!((former.times_asked(), owner.times_asked()), (1, 1));
}

#[tokio::test]
async fn owners_that_send_each_other_on_are_asked_once_each() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let (one, two) = (Peer::answering(421), Peer::answering(421));
    gateway.script.owners.lock().extend([one.owner.clone(), two.owner.clone()]);
    let answer = gateway.post("/v2/session/stop", gateway.key.expose(), json!({ "instance_id": id })).await;
    assert_eq!(answer.error(), (502, "owner_unreachable".into()));
    assert_eq!(answer.header("retry-after"), "10");
    assert_eq!((one.times_asked(), two.times_asked()), (1, 1));
}
