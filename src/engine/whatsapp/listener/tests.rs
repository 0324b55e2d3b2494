use chrono::{TimeDelta, TimeZone as _, Utc};
use tokio::runtime::Handle;
use wacore::types::events::{
    ConnectFailure, Disconnected, LoggedOut, PairError, PairingQrCode, PairingQrCodesExhausted, StreamReplaced,
};

use crate::domain::clock::ManualClock;

use super::super::version::Versions;
use super::*;

struct Heard {
    listener: Arc<Listener>,
    events: mpsc::Receiver<EngineEvent>,
}

impl Heard {
    fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Utc.timestamp_opt(1_790_000_000, 0).unwrap()));
        let versions = Arc::new(Versions::offline(Arc::clone(&clock)));
        let id = InstanceId::parse("7K2M9QX4T0AB").unwrap();
        let runtime = RunRuntime::new(Handle::current());
        let (listener, Said { events, .. }) = Listener::new(id, "wagate".to_owned(), clock, versions, runtime);
        Self { listener, events }
    }

    fn on(&mut self, event: Event) -> Option<EngineEvent> {
        self.listener.handle_event(Arc::new(event));
        self.events.try_recv().ok()
    }

    fn on_code(&mut self, code: &str, seconds: u64) -> (TimeDelta, u32) {
        let timeout = Duration::from_secs(seconds);
        let code = PairingQrCode::builder().code(code.to_owned()).timeout(timeout).build();
        match self.on(Event::PairingQrCode(code)) {
            Some(EngineEvent::QrCode { expires_at, attempt, .. }) => (expires_at - self.listener.clock.now(), attempt),
            event => panic!("{event:?}"),
        }
    }
}

fn failure(reason: ConnectFailureReason) -> Event {
    Event::ConnectFailure(ConnectFailure::builder().reason(reason).build())
}

#[tokio::test]
async fn an_attempt_is_a_new_reference_and_not_a_new_value() {
    let mut heard = Heard::new();
    assert_eq!(heard.on_code("2@one,noise,identity,secret,1", 60), (TimeDelta::seconds(60), 1));
    // The client made a new secret: the reference and its number stay, what is left of its time too.
    assert_eq!(heard.on_code("2@one,noise,identity,another,1", 41), (TimeDelta::seconds(41), 1));
    assert_eq!(heard.on_code("2@two,noise,identity,another,1", 20), (TimeDelta::seconds(20), 2));
    assert_eq!(heard.on_code("2@six,noise,identity,another,1", 20), (TimeDelta::seconds(20), 3));
}

#[tokio::test]
async fn each_refusal_has_its_meaning() {
    let mut heard = Heard::new();
    for (code, expected) in [
        (ConnectFailureReason::LoggedOut, "LoggedOut"),
        (ConnectFailureReason::UnknownLogout, "LoggedOut"),
        (ConnectFailureReason::TempBanned, "Restricted { code: \"402\" }"),
        (ConnectFailureReason::AccountLocked, "Restricted { code: \"403\" }"),
        (ConnectFailureReason::ClientOutdated, "ClientOutdated"),
        (ConnectFailureReason::BadUserAgent, "ClientOutdated"),
        (ConnectFailureReason::InternalServerError, "UpstreamRefused { code: \"500\" }"),
        (ConnectFailureReason::ServiceUnavailable, "UpstreamRefused { code: \"503\" }"),
        (ConnectFailureReason::Unknown(599), "UpstreamRefused { code: \"599\" }"),
    ] {
        assert_eq!(format!("{:?}", heard.on(failure(code)).unwrap()), expected);
    }
}

#[tokio::test]
async fn a_locked_account_is_told_from_a_removed_device() {
    let mut heard = Heard::new();
    let logged_out = |reason| Event::LoggedOut(LoggedOut::builder().on_connect(true).reason(reason).build());
    let event = heard.on(logged_out(ConnectFailureReason::LoggedOut));
    assert!(matches!(event, Some(EngineEvent::LoggedOut)), "{event:?}");
    let event = heard.on(logged_out(ConnectFailureReason::AccountLocked));
    assert!(matches!(event, Some(EngineEvent::Restricted { .. })), "{event:?}");
}

#[tokio::test]
async fn a_failed_pairing_has_a_clear_cause_and_quotes_nothing() {
    let mut heard = Heard::new();
    for (error, expected) in [
        ("pairing crypto failed with code 401: signature-mismatch (source: 201012345678)", "401 signature-mismatch"),
        ("pairing crypto failed with code 401: hmac-mismatch (source: 201012345678)", "401 hmac-mismatch"),
        ("something about 201012345678", "the pairing could not be completed"),
    ] {
        let jid: Jid = "201012345678@s.whatsapp.net".parse().unwrap();
        let event = PairError::builder()
            .id(jid.clone())
            .lid(jid)
            .business_name(String::new())
            .platform(String::new())
            .error(error.to_owned())
            .build();
        match heard.on(Event::PairError(event)) {
            Some(EngineEvent::PairFailed { cause }) => {
                assert!(cause.starts_with(expected), "{cause}");
                assert!(!cause.contains("201012345678"), "{cause}");
            }
            event => panic!("{event:?}"),
        }
    }
}

#[tokio::test]
async fn an_end_is_told_once() {
    for said in [
        failure(ConnectFailureReason::ServiceUnavailable),
        Event::StreamReplaced(StreamReplaced::builder().build()),
        Event::PairingQrCodesExhausted(PairingQrCodesExhausted::builder().disconnected(true).build()),
        Event::Disconnected(Disconnected::builder().reason(wacore::net::DisconnectReason::StreamEnded).build()),
    ] {
        let mut heard = Heard::new();
        heard.listener.transport_is_up();
        heard.events.try_recv().unwrap();
        assert!(heard.on(said).is_some());
        heard.listener.client_ended();
        assert!(heard.events.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_end_without_a_word_is_told_by_how_far_the_client_came() {
    let ended = |heard: &mut Heard| {
        heard.listener.client_ended();
        format!("{:?}", heard.events.try_recv().unwrap())
    };
    let mut heard = Heard::new();
    heard.listener.transport_failed("no route".to_owned());
    assert_eq!(ended(&mut heard), "ConnectFailed { cause: \"no route\" }");

    let mut heard = Heard::new();
    heard.listener.transport_is_up();
    heard.events.try_recv().unwrap();
    assert_eq!(ended(&mut heard), "ConnectFailed { cause: \"the handshake was not completed\" }");

    let mut heard = Heard::new();
    heard.listener.transport_is_up();
    heard.events.try_recv().unwrap();
    heard.on_code("2@one,noise,identity,secret,1", 60);
    assert_eq!(ended(&mut heard), "Disconnected { cause: \"the connection ended without a word\" }");
}

#[tokio::test]
async fn a_connection_is_restarted_for_a_pairing_and_for_nothing_else() {
    let mut heard = Heard::new();
    let reconnects = Arc::new(AtomicBool::new(true));
    let attached = Attached { client: Weak::new(), reconnects: Arc::clone(&reconnects) };
    assert!(heard.listener.client.set(attached).is_ok());
    let on = || reconnects.load(Ordering::SeqCst);
    heard.listener.transport_is_up();
    heard.events.try_recv().unwrap();
    assert!(!on(), "nothing was shown yet");
    heard.on_code("2@one,noise,identity,secret,1", 60);
    assert!(on());
    heard.listener.transport_is_up();
    assert!(on(), "the library may need a second restart");
    heard.listener.transport_is_up();
    assert!(!on(), "but not a third");

    reconnects.store(true, Ordering::SeqCst);
    heard.listener.handle_event(Arc::new(Event::Disconnected(
        Disconnected::builder().reason(wacore::net::DisconnectReason::StreamEnded).build(),
    )));
    assert!(!on());
    reconnects.store(true, Ordering::SeqCst);
    heard.listener.transport_failed("no route".to_owned());
    assert!(!on());
}

#[tokio::test]
async fn a_muted_listener_says_nothing() {
    let mut heard = Heard::new();
    heard.listener.mute();
    assert!(heard.on(failure(ConnectFailureReason::LoggedOut)).is_none());
    heard.listener.client_ended();
    assert!(heard.events.try_recv().is_err());
}

#[tokio::test]
async fn an_end_that_found_the_queue_full_is_told_when_the_client_has_ended() {
    let mut heard = Heard::new();
    for number in 0..=QUEUE {
        let code = PairingQrCode::builder().code(format!("2@{number},")).timeout(Duration::ZERO).build();
        heard.listener.handle_event(Arc::new(Event::PairingQrCode(code)));
    }
    heard.listener.handle_event(Arc::new(failure(ConnectFailureReason::LoggedOut)));
    while heard.events.try_recv().is_ok() {}
    heard.listener.client_ended();
    assert!(heard.events.try_recv().is_ok());
}
