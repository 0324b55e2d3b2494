//! A browser and the WebDriver that drives it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::network::http;
use crate::support::wait::until;

/// The key under which WebDriver names an element (W3C WebDriver, 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The tabulator among the keys that WebDriver names (W3C WebDriver, 17.4.2).
const TAB: &str = "\u{e004}";

/// How a browser is to look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// In CSS pixels.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
    /// Like a phone: touch, and two pixels each.
    pub(crate) mobile: bool,
    /// `Accept-Language`.
    pub(crate) languages: &'static str,
}

impl Default for Look {
    fn default() -> Self {
        Self { width: 1280, height: 900, dark: false, mobile: false, languages: "en" }
    }
}

/// A browser with one window. It ends with this.
pub(crate) struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        Self::looking(Look::default()).await
    }

    pub(crate) async fn looking(look: Look) -> Self {
        let (driver, address) = start_driver();
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--window-size={},{}", look.width, look.height),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({ "args": arguments, "prefs": { "intl.accept_languages": look.languages } });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
            "timeouts": { "script": 60_000, "pageLoad": 120_000 },
        } } });
        let client = http();
        let answer = client.post(format!("{address}/session")).json(&wanted).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}"));
        let browser = Self { driver, http: client, session: format!("{address}/session/{id}"), _profile: profile };
        browser.look(look).await;
        browser
    }

    /// Looks like this from now on; the page that is open stays. The languages stay those it began with.
    pub(crate) async fn look(&self, look: Look) {
        let scheme = if look.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
        let (factor, mobile) = if look.mobile { (2, true) } else { (1, false) };
        let screen =
            json!({ "width": look.width, "height": look.height, "deviceScaleFactor": factor, "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", screen).await;
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.ask(Method::POST, "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Goes to an address; returns when it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        self.ask(Method::POST, "/url", &json!({ "url": url })).await;
    }

    /// Goes back in the history.
    pub(crate) async fn back(&self) {
        self.ask(Method::POST, "/back", &json!({})).await;
    }

    /// From now on scripts run in the page's first frame.
    pub(crate) async fn enter_frame(&self) {
        self.ask(Method::POST, "/frame", &json!({ "id": 0 })).await;
    }

    pub(crate) async fn address(&self) -> String {
        self.ask(Method::GET, "/url", &Value::Null).await.as_str().unwrap().to_owned()
    }

    /// Runs the body of a function on the page.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// Waits until an expression is true on the page, whichever that is by then; its value.
    pub(crate) async fn until(&self, expression: &str) -> Value {
        let script = format!("return {expression}");
        let what = format!("`{expression}` held in the browser");
        until(&what, || async {
            let body = json!({ "script": script, "args": [] });
            // Between two pages there is none to ask.
            let value = self.try_ask(Method::POST, "/execute/sync", &body).await.ok()?;
            (!value.is_null() && value != false && value != "" && value != 0).then_some(value)
        })
        .await
    }

    /// Waits until an element shows this text.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.until(&format!(
            "[...document.querySelectorAll({selector})].some((e) => e.checkVisibility() && e.textContent.includes({text}))"
        ))
        .await;
    }

    /// Clicks on an element as a person does: it must be there and in nobody's shade.
    pub(crate) async fn click(&self, selector: &str) {
        until(&format!("{selector} was clicked"), || async {
            let element = self.element(selector).await?;
            self.try_ask(Method::POST, &format!("/element/{element}/click"), &json!({})).await.ok()
        })
        .await;
    }

    /// Types into an element.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        until(&format!("{selector} was written to"), || async {
            let element = self.element(selector).await?;
            let keys = json!({ "text": text });
            self.try_ask(Method::POST, &format!("/element/{element}/value"), &keys).await.ok()
        })
        .await;
    }

    /// Presses the tabulator as often.
    pub(crate) async fn tab(&self, times: usize) {
        let [down, up] = ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": TAB }));
        let keys: Vec<Value> = [down, up].into_iter().cycle().take(times * 2).collect();
        let keyboard = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": keys }] });
        self.ask(Method::POST, "/actions", &keyboard).await;
    }

    /// What an element looks like, as a PNG.
    pub(crate) async fn picture_of(&self, selector: &str) -> Vec<u8> {
        let picture = until(&format!("{selector} was drawn"), || async {
            let element = self.element(selector).await?;
            self.try_ask(Method::GET, &format!("/element/{element}/screenshot"), &Value::Null).await.ok()
        })
        .await;
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// What the window looks like, as a PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let picture = self.ask(Method::GET, "/screenshot", &Value::Null).await;
        STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }

    /// What the browser said on its console since it was last asked.
    pub(crate) async fn console(&self) -> Vec<String> {
        let lines = self.ask(Method::POST, "/se/log", &json!({ "type": "browser" })).await;
        let lines = lines.as_array().cloned().unwrap_or_default();
        lines.iter().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
    }

    async fn element(&self, selector: &str) -> Option<String> {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.try_ask(Method::POST, "/element", &by).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        self.try_ask(method, path, body).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    async fn try_ask(&self, method: Method, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.http.request(method.clone(), format!("{}{path}", self.session));
        let request = if method == Method::GET { request } else { request.json(body) };
        let answer = request.timeout(Duration::from_mins(2)).send().await.map_err(|error| error.to_string())?;
        let is_success = answer.status().is_success();
        let mut answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        if is_success { Ok(value) } else { Err(value["message"].as_str().unwrap_or_default().to_owned()) }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver leads a group of its own, in which its browser is.
        if let Ok(pid) = i32::try_from(self.driver.id()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.driver.wait();
    }
}

/// Starts a driver on a free port; its address.
fn start_driver() -> (Child, String) {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("chromedriver is installed: see .ci/deps");
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| line.split("started successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok())
        .expect("chromedriver tells its port");
    // What else it says must find a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (driver, format!("http://127.0.0.1:{port}"))
}
