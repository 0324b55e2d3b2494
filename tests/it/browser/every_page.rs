//! What holds for every page, however it is looked at: nobody scrolls sideways, what is written can be read, everything
//! has a name, and a keyboard comes everywhere and shows where it is.

use serde_json::{Value, json};

use super::dashboard::{self, create, sign_in};
use super::link::{code_shown, linkable, stands_at};
use super::{Browser, Look};
use crate::support::gateway::Gateway;
use crate::support::receiver::Receiver;

/// The body of a function: what is wrong with a page that is `WIDTH` wide.
const INSPECT: &str = include_str!("inspect.js");

/// The body of a function: makes ready to be gone through with the tabulator; how many controls there are.
const KEYBOARD: &str = include_str!("keyboard.js");

const DESK: Look = Look { width: 1280, height: 900, dark: false, mobile: false, languages: "en" };
const NARROW: Look = Look { width: 320, height: 700, dark: false, mobile: true, languages: "en" };
const WALL: Look = Look { width: 3840, height: 2160, dark: false, mobile: false, languages: "en" };

/// Goes from place to place with a browser, and keeps what was wrong.
struct Inspector {
    browser: Browser,
    problems: Vec<String>,
}

impl Inspector {
    async fn start(languages: &'static str) -> Self {
        Self { browser: Browser::looking(Look { languages, ..DESK }).await, problems: Vec::new() }
    }

    /// Looks at what the browser shows, on a small screen and a large one, by day and by night, and goes through it by
    /// keyboard.
    async fn look(&mut self, place: &str) {
        for look in [NARROW, WALL] {
            for dark in [false, true] {
                self.browser.look(Look { dark, ..look }).await;
                let found = self.browser.run(&format!("const WIDTH = {};\n{INSPECT}", look.width)).await;
                self.keep(&format!("{place}, {} wide, {}", look.width, if dark { "dark" } else { "light" }), &found);
            }
        }
        self.browser.look(DESK).await;
        let controls = self.browser.run(KEYBOARD).await.as_u64().unwrap();
        // Some are come to twice, and what scrolls is come to as well.
        self.browser.tab(usize::try_from(controls).unwrap() * 2 + 10).await;
        let found = self.browser.run("return window.keyboardProblems()").await;
        self.keep(&format!("{place}, by keyboard"), &found);
    }

    fn keep(&mut self, place: &str, found: &Value) {
        let found = found.as_array().unwrap().iter().map(|problem| format!("{place}: {}", problem.as_str().unwrap()));
        self.problems.extend(found);
    }

    /// Goes to a page and looks at it.
    async fn visit(&mut self, address: &str) {
        self.browser.go(address).await;
        self.look(address.split_once("//").and_then(|(_, rest)| Some(rest.split_once('/')?.1)).unwrap_or(address))
            .await;
    }

    #[track_caller]
    fn is_content(self) {
        assert!(self.problems.is_empty(), "\n{}", self.problems.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_broken_is_found_to_be() {
    let gateway = dashboard::gateway().await;
    let mut inspector = Inspector::start("en").await;
    inspector.browser.go(&format!("{}/dashboard/sign-in", gateway.url)).await;
    let spoil = "const add = (name, style, text) => {
            const element = document.createElement(name);
            Object.assign(element.style, style);
            element.textContent = text;
            document.querySelector('main').append(element);
            return element;
        };
        add('p', { color: 'rgb(120 120 120)', background: 'rgb(120 120 120 / 50%)' }, 'faint');
        add('p', { opacity: '0.2' }, 'veiled');
        add('p', { fontSize: '6px' }, 'tiny');
        add('p', { inlineSize: '5000px' }, 'broad');
        add('h1', {}, 'A second one');
        add('input', {}, '');
        add('button', {}, '');
        add('img', {}, '');
        add('button', { outline: 'none' }, 'unseen');
        add('button', {}, 'unreached').tabIndex = -1;
        document.documentElement.dir = 'rtl'";
    inspector.browser.run(spoil).await;
    inspector.look("spoilt").await;
    let found = inspector.problems.join("\n");
    for (place, problem) in [
        ("320 wide, light", "less than 4.5:1: <p> \"faint\""),
        ("3840 wide, dark", "less than 4.5:1: <p> \"faint\""),
        ("320 wide, dark", "less than 4.5:1: <p> \"veiled\""),
        ("320 wide, light", "letters of 6.0 pixels: <p> \"tiny\""),
        ("320 wide, light", "pixels wide"),
        ("3840 wide, light", "it sticks out: <p> \"broad\""),
        ("320 wide, light", "2 main headings"),
        ("320 wide, light", "a field without a label"),
        ("320 wide, light", "a control without a name"),
        ("320 wide, light", "a picture without words"),
        ("320 wide, light", "written from rtl in en"),
        ("by keyboard", "nobody sees that the focus is on <button> \"unseen\""),
        ("by keyboard", "the keyboard does not come to <button> \"unreached\""),
    ] {
        let is_found = found.lines().any(|line| line.contains(place) && line.contains(problem));
        assert!(is_found, "{place}: {problem} is not among\n{found}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_a_link_page_can_see_name_and_reach_everything_on_it() {
    let gateway = Gateway::around_its_network(|config| config.server.workers = 2).await;
    for languages in ["en", "ar"] {
        let mut inspector = Inspector::start(languages).await;
        let (instance, page) = linkable(&gateway).await;
        inspector.browser.go(&page).await;
        stands_at(&inspector.browser, "ready").await;
        inspector.look("ready").await;
        inspector.browser.click("[data-code-open]").await;
        inspector.browser.write("[name=phone_number]", "12").await;
        inspector.browser.click("[data-code-form] button").await;
        inspector.browser.until("document.querySelector('[data-code-problem]').textContent").await;
        inspector.look("a wrong number").await;
        inspector.browser.click("[data-code-close]").await;
        inspector.browser.click("section:not([hidden]) [data-show]").await;
        code_shown(&inspector.browser).await;
        inspector.look("scan").await;
        let number = gateway.network.phone().await;
        inspector.browser.click("[data-code-open]").await;
        inspector.browser.run("document.querySelector('[name=phone_number]').value = ''").await;
        inspector.browser.write("[name=phone_number]", &format!("+{number}")).await;
        inspector.browser.click("[data-code-form] button").await;
        inspector.browser.until("document.querySelector('[data-code-value]').textContent").await;
        inspector.look("a code to type").await;
        inspector.browser.click("[data-code-close]").await;
        gateway.client.scan(&gateway.network, &instance, &number).await;
        stands_at(&inspector.browser, "linked").await;
        inspector.look("linked").await;
        // What every other phase says, on the page of a link that has ended.
        inspector.browser.go(&format!("{}/link/wgl_ended", gateway.url)).await;
        let phases = "return [...document.querySelectorAll('[data-phase]')].map((panel) => panel.dataset.phase)";
        for phase in inspector.browser.run(phases).await.as_array().unwrap() {
            let panels = "for (const panel of document.querySelectorAll('[data-phase]'))";
            inspector.browser.run(&format!("{panels} panel.hidden = panel.dataset.phase !== {phase}")).await;
            inspector.look(phase.as_str().unwrap()).await;
        }
        inspector.is_content();
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_to_the_dashboards_door_can_see_name_and_reach_everything_on_it() {
    let gateway = dashboard::gateway().await;
    let mut inspector = Inspector::start("en").await;
    inspector.visit(&format!("{}/dashboard/sign-in", gateway.url)).await;
    inspector.browser.write("input[name=access_token]", "wga_nonsense").await;
    inspector.browser.click("form .primary").await;
    inspector.browser.until("document.querySelector('.problem')").await;
    inspector.look("a wrong key").await;
    inspector.browser.go(&format!("{}/dashboard/pair#token=wgp_nonsense", gateway.url)).await;
    inspector.browser.shows("[data-problem]", "used already").await;
    inspector.look("a code that is over").await;
    inspector.browser.run("document.querySelector('[data-account]').textContent = 'default'").await;
    let ask =
        "for (const part of document.querySelectorAll('[data-state]')) part.hidden = part.dataset.state !== 'ask'";
    inspector.browser.run(ask).await;
    inspector.look("a code that signs in").await;
    inspector.is_content();
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_uses_the_dashboard_can_see_name_and_reach_everything_on_it() {
    let gateway = dashboard::gateway().await;
    let receiver = Receiver::start().await;
    let mut inspector = Inspector::start("en").await;
    sign_in(&inspector.browser, &gateway).await;
    inspector.look("no instance yet").await;
    let pages = ["webhooks", "usage"].map(|page| format!("{}/dashboard/{page}", gateway.url));
    for page in &pages {
        inspector.visit(page).await;
    }

    inspector.browser.go(&format!("{}/dashboard", gateway.url)).await;
    let unlinked = create(&inspector.browser, "a shop with a name as long as people give them, in the old town").await;
    inspector.browser.shows(".head .badge", "SCAN_QR_CODE").await;
    inspector.browser.click("[data-show-qr]").await;
    inspector.browser.until("document.querySelector('[data-qr]').naturalWidth > 0").await;
    inspector.look("an instance that is not linked").await;

    let (linked, number) = gateway.client.linked(&gateway.network).await;
    let friend = gateway.network.phone().await;
    gateway.network.post(&format!("/phones/{friend}/send"), &json!({ "to": number, "text": "Hi" })).await;
    let hook = json!({ "url": receiver.url(), "instance_id": linked });
    let (_, hook) = gateway.client.post("/v2/webhooks", &hook).await;
    let address = format!("{}/dashboard/instances/{linked}", gateway.url);
    inspector.browser.go(&address).await;
    inspector.browser.until("document.querySelector('[data-events] li[data-kind=message], [data-events] li')").await;
    inspector.visit(&address).await;
    inspector.browser.click("[data-act=stop]").await;
    inspector.browser.until("document.querySelector('#confirm').open").await;
    inspector.look("a question").await;
    inspector.browser.go(&address).await;
    inspector.browser.click("form[data-call='POST /session/token'] button").await;
    inspector.browser.until("document.querySelector('#secret').open").await;
    inspector.look("a secret").await;
    inspector.browser.go(&address).await;
    inspector.browser.click("[data-opens=phone]").await;
    inspector.browser.until("document.querySelector('#phone img').naturalWidth > 0").await;
    inspector.look("the code that signs a phone in").await;

    let (status, _) = gateway.client.post("/v2/session/stop", &json!({ "instance_id": unlinked })).await;
    assert!(status.is_success());
    inspector.visit(&format!("{}/dashboard", gateway.url)).await;
    inspector.browser.click("[data-opens=create]").await;
    inspector.look("a new instance").await;
    let hook = format!("webhooks/{}", hook["webhook_id"].as_str().unwrap());
    for page in ["webhooks", &hook, "keys", "audit", "audit?action=qr.shown", "usage", "instances/ZZZZZZZZZZZZ"] {
        inspector.visit(&format!("{}/dashboard/{page}", gateway.url)).await;
    }
    inspector.is_content();
    gateway.stop().await;
}
