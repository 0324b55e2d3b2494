//! A webhook's receiver that outlives the gateway and remembers every delivery in its order.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use parking_lot::Mutex;
use serde_json::Value;

pub(super) struct Receiver {
    url: String,
    deliveries: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let taken = web::Data::from(Arc::clone(&deliveries));
        let server = HttpServer::new(move || App::new().app_data(taken.clone()).route("/hook", web::post().to(take)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        tokio::spawn(server);
        Self { url, deliveries }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn count(&self) -> usize {
        self.deliveries.lock().len()
    }

    /// Everything that was delivered, in its order, repetitions included.
    pub(super) fn deliveries(&self) -> Vec<Value> {
        self.deliveries.lock().clone()
    }
}

async fn take(deliveries: web::Data<Mutex<Vec<Value>>>, delivery: web::Json<Value>) -> HttpResponse {
    deliveries.lock().push(delivery.into_inner());
    HttpResponse::Ok().finish()
}
