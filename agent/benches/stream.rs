//! Cost of putting the events of a connection in order.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use telltale::{
    capture::{Direction, Timestamp},
    stream::{Counters, Segment, Streams},
};

fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Elements(2));
    let bytes = [b'x'; 256];
    for (name, order) in [("two_in_order", [0, 256]), ("two_swapped", [256, 0])] {
        group.bench_function(name, |bencher| {
            let (mut streams, mut counters) = (Streams::new(), Counters::default());
            let mut sink = |_: Direction, segment: Segment<'_>| {
                black_box(segment);
            };
            let mut base = 0;
            bencher.iter(|| {
                for offset in order {
                    let time = Timestamp(base);
                    streams.data(Direction::In, base + offset, 256, &bytes, time, &mut counters, &mut sink);
                }
                base += 512;
            });
            assert_eq!(counters.data_bytes, base);
        });
    }
    group.finish();
}

criterion_group!(benches, stream);
criterion_main!(benches);
