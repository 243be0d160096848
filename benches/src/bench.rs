//! Workloads as criterion benches, whose unit is processor time.

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};

use crate::meter::Meter;
use crate::{Peer, Workload, clients};

/// Processor time of the whole process, as a measurement of criterion's.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorTime;

impl Measurement for ProcessorTime {
    type Intermediate = Meter;
    type Value = Duration;

    fn start(&self) -> Meter {
        Meter::start()
    }

    fn end(&self, meter: Meter) -> Duration {
        meter.read().cpu()
    }

    fn add(&self, left: &Duration, right: &Duration) -> Duration {
        *left + *right
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// The `main` of a bench: runs the workloads of these names, each on one peer after the other.
///
/// One iteration is a batch; the throughput that criterion prints is in operations for each second of
/// processor time.
pub fn main(names: &[&str]) {
    clients::run_if_asked();
    let mut criterion = Criterion::default()
        .with_measurement(ProcessorTime)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for name in names {
        let workload = Workload::by_name(name).expect("the name of a workload");
        let mut group = criterion.benchmark_group(*name);
        group.throughput(Throughput::Elements(workload.batch));
        let peers = Peer::ALL.into_iter().chain([Peer::Bare]);
        for peer in peers.filter(|peer| workload.is_for(*peer)) {
            group.bench_function(peer.name(), |bencher| {
                let mut run = workload.start(peer);
                bencher.iter_custom(|batches| {
                    let meter = Meter::start();
                    run(batches);
                    meter.read().cpu()
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
