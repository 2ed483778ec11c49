//! A crowd of agents that have nothing to say, over whatever carries records, and what it costs the
//! server to have them. They are as small as can be: they answer what onboarding asks with a
//! handful of values and keep quiet.

mod device;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bench_roundtrip::Wire;
use rig::{Fault, Server};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use usp::EndpointId;
use usp::agent::{Config, Event, Session};
use usp::record::RecordType;

/// How many, unless another number is wanted.
pub const AGENTS: usize = 10_000;
/// Dialling at the same time.
pub const AT_ONCE: usize = 32;
/// The agents are idle when none was asked anything for this long.
const QUIET: Duration = Duration::from_secs(12);
const ALL_TIME: Duration = Duration::from_secs(900);
/// Onboarded before the first measurement, so that what is shared is there.
const WARM_UP: usize = 50;

/// What happens, over all agents.
#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    lost: AtomicUsize,
    asked: AtomicUsize,
}

/// Connects so many agents to the server and prints what each costs it. `dial` gives a link and the
/// record that announces an agent over it.
pub async fn measure<L, F>(
    server: &Server,
    wanted: usize,
    aim: f64,
    dial: impl Fn(EndpointId) -> F + Clone + Send + 'static,
) -> Result<f64, Fault>
where
    L: Wire,
    F: Future<Output = Result<(L, RecordType), Fault>> + Send,
{
    let counts = Arc::new(Counts::default());
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let controller = EndpointId::parse(&server.endpoint)?;
    let mut crowd = JoinSet::new();
    let mut start = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let (counts, slots) = (counts.clone(), slots.clone());
            let (controller, dial) = (controller.clone(), dial.clone());
            crowd.spawn(async move { live(number, controller, dial, &counts, &slots).await });
        }
    };
    start(0..WARM_UP);
    idle(&counts, WARM_UP).await?;
    let before = server.resident_kib()?;
    start(WARM_UP..wanted + WARM_UP);
    idle(&counts, wanted + WARM_UP).await?;
    let after = server.resident_kib()?;
    let each = (after as f64 - before as f64) / wanted as f64;
    let verdict = if each <= aim { "met" } else { "MISSED" };
    println!(
        "{wanted} idle agents: resident {before} KiB before, {after} KiB after, {each:.1} KiB each (aim {aim}: {verdict}); {} connections lost on the way",
        counts.lost.load(Ordering::Relaxed)
    );
    Ok(each)
}

/// One agent, again and again.
async fn live<L, F>(
    number: usize,
    controller: EndpointId,
    dial: impl Fn(EndpointId) -> F,
    counts: &Counts,
    slots: &Semaphore,
) -> Result<(), Fault>
where
    L: Wire,
    F: Future<Output = Result<(L, RecordType), Fault>>,
{
    let own = EndpointId::parse(&format!("os::00256D-IDLE{number}"))?;
    loop {
        let link = {
            let _slot = slots.acquire().await;
            dial(own.clone()).await
        };
        let Ok((link, announcement)) = link else {
            // The setup key has a rate.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        counts.connected.fetch_add(1, Ordering::Relaxed);
        let mut session = Session::new(
            &Config::default(),
            own.clone(),
            controller.clone(),
            number as u64,
        );
        session.channel_opened(Instant::now(), announcement);
        let _ = answer(link, session, counts, number).await;
        counts.connected.fetch_sub(1, Ordering::Relaxed);
        counts.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until all are connected and nothing was asked for a while.
async fn idle(counts: &Counts, wanted: usize) -> Result<(), Fault> {
    let end = Instant::now() + ALL_TIME;
    let (mut asked, mut since) = (usize::MAX, Instant::now());
    while Instant::now() < end {
        let now = counts.asked.load(Ordering::Relaxed);
        if now != asked || counts.connected.load(Ordering::Relaxed) < wanted {
            (asked, since) = (now, Instant::now());
        }
        if since.elapsed() >= QUIET {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let there = counts.connected.load(Ordering::Relaxed);
    Err(format!("{there} of {wanted} agents are connected, and they do not come to rest").into())
}

async fn answer<L: Wire>(
    mut link: L,
    mut session: Session,
    counts: &Counts,
    number: usize,
) -> Result<(), Fault> {
    loop {
        while let Some(event) = session.poll_event() {
            if let Event::Requested { token, request, .. } = event {
                counts.asked.fetch_add(1, Ordering::Relaxed);
                session.respond(token, device::reply(request, number))?;
            }
        }
        while let Some(record) = session.poll_transmit() {
            link.put(record).await?;
        }
        let record = link.take().await?;
        session.handle_input(Instant::now(), &record)?;
    }
}
