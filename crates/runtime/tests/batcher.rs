//! Scheduling, with a session that the test controls: what is joined, what is refused, who hears of a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use lepton_core::{DType, ErrorCode, Limits, NamedTensors, Result, Tensor};
use lepton_onnx::{GraphProto, ModelProto, NodeProto, OPSET, ValueInfoProto};
use lepton_runtime::{Answer, BatchSettings, Batcher, Model, Package, Session};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// Doubles its input; -1 fails, -2 panics, -3 is too slow. Notes the rows of each run, and waits for a permit
/// before each when it has a gate.
struct Fake {
    runs: Arc<Mutex<Vec<Vec<f32>>>>,
    gate: Option<Mutex<Receiver<()>>>,
}

impl Session for Fake {
    fn run(&self, inputs: &NamedTensors) -> Result<NamedTensors> {
        if let Some(gate) = &self.gate {
            gate.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv().unwrap();
        }
        let values = inputs[0].1.as_float32()?.to_vec();
        self.runs.lock().unwrap().push(values.clone());
        for value in &values {
            match *value as i64 {
                -1 => return Err(lepton_core::Error::new(ErrorCode::BadInput, "minus one")),
                -2 => panic!("minus two"),
                -3 => return Err(lepton_core::Error::new(ErrorCode::Timeout, "minus three")),
                _ => {}
            }
        }
        let doubled = values.iter().map(|value| value * 2.0).collect();
        Ok(vec![("output".to_owned(), Tensor::float32(inputs[0].1.shape(), doubled)?)])
    }
}

struct Bench {
    batcher: Arc<Batcher>,
    runs: Arc<Mutex<Vec<Vec<f32>>>>,
    gate: Sender<()>,
}

impl Bench {
    /// A batcher whose runs each wait for `permit`.
    fn gated(settings: BatchSettings, limits: Limits, batch: i64) -> Bench {
        let (gate, permits) = channel();
        Bench::build(settings, limits, batch, gate, Some(Mutex::new(permits)))
    }

    fn open(settings: BatchSettings) -> Bench {
        Bench::build(settings, Limits::default(), -1, channel().0, None)
    }

    fn build(
        settings: BatchSettings,
        limits: Limits,
        batch: i64,
        gate: Sender<()>,
        permits: Option<Mutex<Receiver<()>>>,
    ) -> Bench {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let session = Arc::new(Fake { runs: Arc::clone(&runs), gate: permits });
        let model = Model::with_session(package(batch), session, "fake", &limits);
        Bench { batcher: Arc::new(Batcher::new(Arc::new(model), settings).unwrap()), runs, gate }
    }

    fn permit(&self, count: usize) {
        (0..count).for_each(|_| self.gate.send(()).unwrap());
    }

    fn submit(&self, values: &[f32]) -> oneshot::Receiver<Result<Answer>> {
        self.batcher.submit(request(values)).unwrap()
    }

    /// One job that holds the worker until `permit`, so that what is submitted next waits together.
    fn occupy(&self) -> oneshot::Receiver<Result<Answer>> {
        let receiver = self.submit(&[100.0]);
        while self.batcher.queue_len() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        receiver
    }

    fn runs(&self) -> Vec<Vec<f32>> {
        self.runs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

fn request(values: &[f32]) -> NamedTensors {
    vec![("input".to_owned(), Tensor::float32([values.len(), 1], values.to_vec()).unwrap())]
}

fn package(batch: i64) -> Package {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = GraphProto::new("fake");
    graph.input.push(ValueInfoProto::tensor("input", DType::Float32, &[batch, 1]));
    graph.output.push(ValueInfoProto::tensor("output", DType::Float32, &[batch, 1]));
    graph.node.push(NodeProto::new("Identity", "identity", ["input"], ["output"]));
    let path = folder.path().join("fake.onnx");
    std::fs::write(&path, lepton_onnx::encode(&ModelProto::new(graph, OPSET))).unwrap();
    Package::from_onnx(&path, &Limits::default()).unwrap()
}

fn values(answer: Result<Answer>) -> Vec<f32> {
    answer.unwrap().outputs[0].1.as_float32().unwrap().to_vec()
}

#[test]
fn waiting_requests_run_together_up_to_max_rows_and_in_order() {
    let bench = Bench::gated(BatchSettings { max_rows: 5, ..BatchSettings::default() }, Limits::default(), -1);
    let first = bench.occupy();
    let waiting: Vec<_> = [&[1.0, 2.0][..], &[3.0, 4.0], &[5.0, 6.0], &[7.0]].map(|v| bench.submit(v)).into();
    // Larger than max_rows: alone.
    let large = bench.submit(&[1.0; 9]);
    bench.permit(4);
    assert_eq!(values(first.blocking_recv().unwrap()), [200.0]);
    let answers: Vec<_> = waiting.into_iter().map(|one| one.blocking_recv().unwrap().unwrap()).collect();
    assert_eq!(answers.iter().map(|answer| answer.batch_rows).collect::<Vec<_>>(), [4, 4, 3, 3]);
    let outputs: Vec<_> = answers.iter().map(|answer| answer.outputs[0].1.as_float32().unwrap().to_vec()).collect();
    assert_eq!(outputs, [vec![2.0, 4.0], vec![6.0, 8.0], vec![10.0, 12.0], vec![14.0]]);
    assert_eq!(large.blocking_recv().unwrap().unwrap().batch_rows, 9);
    assert_eq!(bench.runs(), [vec![100.0], vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0], vec![1.0; 9]]);
}

#[test]
fn a_wait_gathers_what_comes_within_it() {
    let bench = Bench::open(BatchSettings { max_wait_us: 500_000, max_rows: 2, ..BatchSettings::default() });
    let (left, right) = (bench.submit(&[1.0]), bench.submit(&[2.0]));
    // Full before the wait is over: no reason to wait on.
    let answer = left.blocking_recv().unwrap().unwrap();
    assert_eq!(answer.batch_rows, 2);
    assert!(answer.queue_seconds < 0.4, "{}", answer.queue_seconds);
    assert_eq!(values(right.blocking_recv().unwrap()), [4.0]);
    let alone = bench.submit(&[3.0]).blocking_recv().unwrap().unwrap();
    assert!(alone.batch_rows == 1 && alone.queue_seconds >= 0.5, "{}", alone.queue_seconds);
}

#[test]
fn a_full_queue_says_overloaded_and_clients_that_left_make_room() {
    let settings = BatchSettings { queue_requests: 2, ..BatchSettings::default() };
    let bench = Bench::gated(settings, Limits::default(), -1);
    let first = bench.occupy();
    let kept = bench.submit(&[1.0]);
    let left = bench.submit(&[2.0]);
    let error = bench.batcher.submit(request(&[3.0])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Overloaded);
    assert!(error.message().contains("queue_requests = 2"), "{error}");
    drop(left);
    let late = bench.submit(&[4.0]);
    bench.permit(2);
    assert_eq!(values(first.blocking_recv().unwrap()), [200.0]);
    assert_eq!(values(kept.blocking_recv().unwrap()), [2.0]);
    assert_eq!(values(late.blocking_recv().unwrap()), [8.0]);
}

#[test]
fn who_left_is_not_computed() {
    let bench = Bench::gated(BatchSettings::default(), Limits::default(), -1);
    let first = bench.occupy();
    drop(bench.submit(&[1.0]));
    let stays = bench.submit(&[2.0]);
    drop(bench.submit(&[3.0]));
    bench.permit(2);
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(values(stays.blocking_recv().unwrap()), [4.0]);
    bench.batcher.drain();
    assert_eq!(bench.runs(), [vec![100.0], vec![2.0]]);
}

#[test]
fn one_bad_request_does_not_spoil_the_others() {
    for (bad, code) in [(-1.0, ErrorCode::BadInput), (-2.0, ErrorCode::Internal)] {
        let bench = Bench::gated(BatchSettings::default(), Limits::default(), -1);
        let first = bench.occupy();
        let (left, broken, right) = (bench.submit(&[1.0]), bench.submit(&[bad]), bench.submit(&[2.0]));
        bench.permit(5);
        first.blocking_recv().unwrap().unwrap();
        assert_eq!(values(left.blocking_recv().unwrap()), [2.0]);
        assert_eq!(broken.blocking_recv().unwrap().unwrap_err().code(), code);
        assert_eq!(values(right.blocking_recv().unwrap()), [4.0]);
        // The worker lives on, after a panic too.
        bench.permit(1);
        assert_eq!(values(bench.submit(&[5.0]).blocking_recv().unwrap()), [10.0]);
    }
}

#[test]
fn a_timeout_of_a_joined_run_is_not_paid_again_for_each() {
    let bench = Bench::gated(BatchSettings::default(), Limits::default(), -1);
    let first = bench.occupy();
    let (left, slow) = (bench.submit(&[1.0]), bench.submit(&[-3.0]));
    bench.permit(2);
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(left.blocking_recv().unwrap().unwrap_err().code(), ErrorCode::Timeout);
    assert_eq!(slow.blocking_recv().unwrap().unwrap_err().code(), ErrorCode::Timeout);
    assert_eq!(bench.runs().len(), 2);
}

#[test]
fn who_waited_too_long_is_told_and_not_computed() {
    let limits = Limits { request_ms: 50, ..Limits::default() };
    let bench = Bench::gated(BatchSettings::default(), limits, -1);
    let first = bench.occupy();
    let late = bench.submit(&[1.0]);
    std::thread::sleep(Duration::from_millis(120));
    bench.permit(1);
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(late.blocking_recv().unwrap().unwrap_err().code(), ErrorCode::Timeout);
    bench.batcher.drain();
    assert_eq!(bench.runs(), [vec![100.0]]);
}

#[test]
fn a_drain_answers_those_that_wait_and_takes_no_more() {
    let bench = Bench::gated(BatchSettings::default(), Limits::default(), -1);
    let first = bench.occupy();
    let waiting = bench.submit(&[1.0]);
    let draining = Arc::clone(&bench.batcher);
    let drain = std::thread::spawn(move || draining.drain());
    let refused = loop {
        match bench.batcher.submit(request(&[9.0])) {
            Err(error) => break error,
            Ok(receiver) => drop(receiver),
        }
    };
    assert_eq!(refused.code(), ErrorCode::Unavailable);
    bench.permit(2);
    drain.join().unwrap();
    assert_eq!(values(first.blocking_recv().unwrap()), [200.0]);
    assert_eq!(values(waiting.blocking_recv().unwrap()), [2.0]);
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_queued() {
    let limits = Limits { batch_rows: 4, tensor_elements: 6, ..Limits::default() };
    let bench = Bench::gated(BatchSettings::default(), limits, -1);
    let code = |inputs: NamedTensors| bench.batcher.submit(inputs).unwrap_err().code();
    assert_eq!(code(request(&[0.0; 5])), ErrorCode::TooLarge);
    assert_eq!(code(request(&[0.0; 7])), ErrorCode::TooLarge);
    assert_eq!(code(vec![]), ErrorCode::BadInput);
    assert_eq!(code(vec![("input".into(), Tensor::int64([1, 1], vec![1]).unwrap())]), ErrorCode::Dtype);
    assert_eq!(bench.batcher.queue_len(), 0);
}

#[test]
fn a_model_with_a_fixed_batch_runs_each_request_alone() {
    let bench = Bench::gated(BatchSettings::default(), Limits::default(), 1);
    let first = bench.occupy();
    let (left, right) = (bench.submit(&[1.0]), bench.submit(&[2.0]));
    bench.permit(3);
    first.blocking_recv().unwrap().unwrap();
    assert_eq!(left.blocking_recv().unwrap().unwrap().batch_rows, 1);
    assert_eq!(values(right.blocking_recv().unwrap()), [4.0]);
    assert_eq!(bench.runs(), [[100.0], [1.0], [2.0]]);
}

#[test]
fn settings_of_nothing_are_refused() {
    let session = Arc::new(Fake { runs: Arc::default(), gate: None });
    let model = Arc::new(Model::with_session(package(-1), session, "fake", &Limits::default()));
    for settings in [
        BatchSettings { max_rows: 0, ..BatchSettings::default() },
        BatchSettings { queue_requests: 0, ..BatchSettings::default() },
        BatchSettings { workers: 0, ..BatchSettings::default() },
    ] {
        assert_eq!(Batcher::new(Arc::clone(&model), settings).err().unwrap().code(), ErrorCode::Config);
    }
}

#[test]
fn many_threads_each_get_their_own_rows() {
    let bench = Bench::open(BatchSettings { max_rows: 8, workers: 2, ..BatchSettings::default() });
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let batcher = &bench.batcher;
            scope.spawn(move || {
                for step in 0..200 {
                    let sent: Vec<f32> = (0..1 + step % 3).map(|row| (thread * 1000 + step + row) as f32).collect();
                    let answer = batcher.submit(request(&sent)).unwrap().blocking_recv().unwrap();
                    assert_eq!(values(answer), sent.iter().map(|value| value * 2.0).collect::<Vec<_>>());
                }
            });
        }
    });
    assert_eq!(bench.runs().iter().map(Vec::len).sum::<usize>(), (0..200).map(|step| 1 + step % 3).sum::<usize>() * 8);
}
