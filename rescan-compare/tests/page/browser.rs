//! A headless Chromium, driven by the DevTools protocol over pipes: JSON messages that end with a
//! zero byte, in on descriptor 3 and out on 4. It opens no port and fetches nothing.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

/// After this silence, the browser has hung.
const PATIENCE: Duration = Duration::from_secs(120);

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

const FLAGS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-pipe",
];

/// A running browser with one page; it ends with this value.
pub(crate) struct Browser {
    process: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    /// The page's session, once there is one.
    session: Option<String>,
    last_id: u64,
    /// Messages without a request.
    events: Vec<Value>,
    profile: TempDir,
}

/// The Chromium of this machine, if there is one.
pub(crate) fn find() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&folders).collect();
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

impl Browser {
    /// Starts it with a new profile.
    pub(crate) fn launch(program: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = File::create(profile.path().join("stderr")).unwrap();
        // The shell moves its ends of both pipes to the descriptors that the browser reads and
        // writes.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .arg(program)
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let to = process.stdin.take().unwrap();
        let mut messages = BufReader::new(process.stdout.take().unwrap()).split(0);
        let (sender, from) = channel();
        // The thread ends with the pipe.
        std::thread::spawn(move || {
            while let Some(Ok(message)) = messages.next() {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut browser = Self { process, to, from, session: None, last_id: 0, events: Vec::new(), profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// Opens a file, and waits until all of it is there.
    pub(crate) fn open(&mut self, path: &Path) -> String {
        let address = format!("file://{}", path.display());
        self.events.clear();
        self.call("Page.navigate", &json!({ "url": address }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.receive();
            self.events.push(event);
        }
        // Complaints during drawing arrive before this answer.
        self.evaluate("document.fonts.ready.then(() => 0)");
        address
    }

    /// Every failure since the page at `address` was opened, and every request but the one for it.
    pub(crate) fn complaints(&self, address: &str) -> Vec<String> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
                url != address && !url.starts_with("data:")
            }
            Some(
                "Runtime.exceptionThrown"
                | "Runtime.consoleAPICalled"
                | "Log.entryAdded"
                | "Network.loadingFailed"
                | "Page.javascriptDialogOpening",
            ) => true,
            _ => false,
        };
        self.events.iter().filter(bad).map(ToString::to_string).collect()
    }

    /// Sets the window's width in CSS pixels, and the preferred scheme, `light` or `dark`.
    pub(crate) fn show(&mut self, width: u32, scheme: &str) {
        self.lay_out(width, scheme, "screen");
    }

    /// Lays the page out for print, on paper of this width in CSS pixels, with the preferred scheme
    /// `light` or `dark`.
    pub(crate) fn show_on_paper(&mut self, width: u32, scheme: &str) {
        self.lay_out(width, scheme, "print");
    }

    fn lay_out(&mut self, width: u32, scheme: &str, media: &str) {
        let metrics = json!({ "width": width, "height": 800, "deviceScaleFactor": 2, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "media": media, "features": features }));
    }

    /// The value of an expression in the page, as JSON.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let question = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &question);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// The whole page as a PNG, at the present width.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let question = json!({ "format": "png", "captureBeyondViewport": true });
        decoded(&self.call("Page.captureScreenshot", &question))
    }

    /// The page printed on A4.
    pub(crate) fn pdf(&mut self) -> Vec<u8> {
        // The emulated window would apply to paper too.
        self.call("Emulation.setEmulatedMedia", &json!({ "media": "", "features": [] }));
        decoded(&self.call("Page.printToPDF", &json!({ "printBackground": false, "preferCSSPageSize": true })))
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        loop {
            let mut answer = self.receive();
            if answer["id"] == json!(self.last_id) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            self.events.push(answer);
        }
    }

    fn receive(&mut self) -> Value {
        self.from.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
            panic!("the browser was silent ({error}); its stderr:\n{log}")
        })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Killed alone, it would leave children that write to the profile.
        let close = json!({ "id": self.last_id + 1, "method": "Browser.close" }).to_string() + "\0";
        let closed = self.to.write_all(close.as_bytes()).is_ok();
        while closed && self.from.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn decoded(answer: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
}
