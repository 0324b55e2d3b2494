//! A whole run at `trace`, and what the library would have said beside it.

use std::fmt::Write as _;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use wagate::domain::phone_number::PhoneNumber;
use wagate::engine::whatsapp::SILENCED_TARGETS;

use super::client::Scene;

/// Lines with their targets, of both ways to log: ours is `tracing`, the library's is `log`.
static LINES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

struct Tracing;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: Subscriber> Layer<S> for Tracing {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        LINES.lock().unwrap().push((event.metadata().target().to_owned(), text.0));
    }
}

struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LINES.lock().unwrap().push((record.target().to_owned(), record.args().to_string()));
    }

    fn flush(&self) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_at_any_level_holds_a_code_or_a_number() {
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Tracing)).unwrap();

    let scene = Scene::new().await;
    let mut first = scene.start().await;
    let (value, ..) = first.code().await;
    let asked = scene.sandbox.add_phone(None, None).unwrap().number;
    let code = first.run.request_code(PhoneNumber::parse(&asked).unwrap()).await.unwrap().expose();
    let bare = code.replace('-', "");
    first.stop().await;
    let (client, _, number) = scene.linked().await;
    client.run.logout().await.unwrap();
    client.run.shutdown().await;

    let lines = LINES.lock().unwrap();
    let is_silenced = |target: &str| SILENCED_TARGETS.iter().any(|silenced| target.starts_with(silenced));
    let reference = value.split(',').next().unwrap();
    let secrets = [&number, &value, reference, &asked, &code, &bare];
    let holds_a_secret = |text: &str| secrets.iter().any(|secret| text.contains(*secret));
    let (silenced, written): (Vec<_>, Vec<_>) = lines.iter().partition(|(target, _)| is_silenced(target));
    assert!(written.iter().any(|(target, _)| target.starts_with("wagate::engine")), "our own lines are heard");
    for (target, text) in written {
        assert!(!holds_a_secret(text), "{target}: {text}");
    }
    assert!(silenced.iter().any(|(_, text)| holds_a_secret(text)), "the library may have become safe to hear");
}
