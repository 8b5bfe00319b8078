//! A server on a free port, on threads of its own, that is stopped and checked at the end.

use crate::client::{Client, Reply};
use lepton_core::Result;
use lepton_server::{ServeSettings, ServedModel, Server};
use lepton_store::Store;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<()>>>,
}

pub(crate) fn settings() -> ServeSettings {
    ServeSettings { port: 0, grace_ms: 0, ..ServeSettings::default() }
}

pub(crate) fn start(models: Vec<ServedModel>) -> Running {
    start_with(models, settings(), None)
}

pub(crate) fn start_with(models: Vec<ServedModel>, settings: ServeSettings, store: Option<Store>) -> Running {
    let server = Server::bind(models, settings, store).unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let result = runtime.block_on(server.run(async {
            let _ = stopped.await;
        }));
        runtime.shutdown_background();
        result
    });
    Running { address, stop: Some(stop), thread: Some(thread) }
}

impl Running {
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.client().send(method, path, headers, body)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], b"")
    }

    /// The value of one sample of `/metrics`.
    pub(crate) fn metric(&self, sample: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    /// Asks it to stop, without waiting.
    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    /// Stops it and gives how its run ended.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.begin_stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap().unwrap();
        }
    }
}
