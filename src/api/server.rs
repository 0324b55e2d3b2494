//! The HTTP server: actix's, put together by hand because `HttpServer` serves bare sockets only, and ours are guarded
//! ([`super::connection`]).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_http::{HttpService, KeepAlive, Protocol, Request};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactoryExt, apply_fn_factory, map_config};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::web::ServiceConfig;
use actix_web::{App, Error};
use tokio::net::TcpStream;

use crate::config;

use super::connection::{Answer, Connection, Guarded};

/// Serves an application on a listener of ours. Its workers are threads of their own; none: one for each core.
pub fn serve<F>(
    listener: TcpListener,
    config: &config::Server,
    workers: usize,
    configure: impl Fn() -> F + Send + Clone + 'static,
) -> io::Result<Server>
where
    F: FnOnce(&mut ServiceConfig),
{
    let workers = match workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let head_timeout = config.request_head_timeout;
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(workers)
        .max_concurrent_connections((config.max_connections as usize).div_ceil(workers))
        .shutdown_timeout(config.shutdown_timeout.as_secs())
        .disable_signals()
        .listen("http", listener, move || {
            let app = App::new().configure(configure()).into_factory().map_err(|error: Error| error.error_response());
            let app = apply_fn_factory(map_config(app, |()| AppConfig::default()), answer);
            let stopping = stopping.clone();
            let http = HttpService::build()
                // Without a timer of actix's own.
                .keep_alive(KeepAlive::Os)
                .client_request_timeout(head_timeout)
                // Not in its documentation, but what `HttpServer` does, so that idle connections end with the server.
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .on_connect_ext(|socket: &Guarded, data| {
                    data.insert(socket.connection());
                })
                .finish(app);
            apply_fn_factory(http, move |socket: TcpStream, http: &_| attend(socket, head_timeout, http))
        })?
        .run();
    Ok(server)
}

/// Has the application answer a request, which is under way meanwhile.
fn answer<A>(request: Request, app: &A) -> impl Future<Output = Result<ServiceResponse<Answer>, A::Error>> + use<A>
where
    A: Service<Request, Response = ServiceResponse>,
{
    let under_way = request.conn_data::<Connection>().expect("every connection has one").request();
    let answering = app.call(request);
    async move { Ok(answering.await?.map_body(|head, body| under_way.answered(head, body))) }
}

/// Attends to a client from its connection to its end.
fn attend<H>(socket: TcpStream, head_timeout: Duration, http: &H) -> impl Future<Output = Result<(), H::Error>> + use<H>
where
    H: Service<(Guarded, Protocol, Option<SocketAddr>), Response = ()>,
{
    let peer = socket.peer_addr().ok();
    let (connection, socket) = Connection::open(socket, head_timeout);
    // Boxed, so that its room is free again for an answer that goes on after it.
    let serving = Box::pin(http.call((socket, Protocol::Http1, peer)));
    async move {
        let outcome = serving.await;
        if outcome.is_ok() {
            connection.carry().await;
        }
        connection.close().await;
        outcome
    }
}
