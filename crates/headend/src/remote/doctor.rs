//! `doctor`: why a device is not seen, and which connections were turned away.

use super::part::Part;
use super::{Connection, client::Client, output, when};
use crate::exit::{self, Exit, Failure};
use crate::remote::output::say;
use anyhow::Result;
use api::Page;
use api::doctor::{Diagnosis, DoctorQuery, Refusal, RefusalQuery, Severity};

#[derive(clap::Args)]
#[command(
    after_help = "Exit code 9 when a problem is found: a device cannot be managed because of it."
)]
pub struct Args {
    /// An endpoint id, serial or address that is missed [default: look at the whole]
    device: Option<String>,
    /// How many of the connections that were turned away
    #[arg(long, default_value_t = 10, conflicts_with = "device")]
    refusals: usize,
    /// Only connections turned away since: a time, a day, or an age like 2h
    #[arg(long, value_parser = when::parse, conflicts_with = "device")]
    since: Option<api::Time>,
}

pub async fn run(args: Args, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let query = DoctorQuery {
        device: args.device.clone(),
    };
    let diagnosis: Diagnosis = client
        .call("doctor_show", &[], &api::query_pairs(&query))
        .await?;
    // What was found about one device has its refusals in it.
    let refusals = match args.device {
        Some(_) => None,
        None => Some(refusals(&client, &args).await?),
    };
    exit::ending(verdict(&diagnosis), || {
        if connection.json {
            let both = serde_json::json!({ "diagnosis": diagnosis, "refusals": refusals });
            return output::json(&both);
        }
        show(&diagnosis);
        if let Some(refusals) = &refusals {
            show_refusals(&refusals.items);
        }
        Ok(())
    })
}

fn verdict(diagnosis: &Diagnosis) -> Result<()> {
    match diagnosis.verdict {
        Severity::Problem => {
            let problems = diagnosis.findings.iter();
            let count = problems
                .filter(|one| one.severity == Severity::Problem)
                .count();
            let words = match count {
                1 => "a problem was found".to_owned(),
                count => format!("{count} problems were found"),
            };
            Err(Exit::error(Failure::Found, words))
        }
        Severity::Ok | Severity::Info | Severity::Warning => Ok(()),
    }
}

async fn refusals(client: &Client, args: &Args) -> Result<Page<Refusal>> {
    let query = api::query_pairs(&RefusalQuery {
        since: args.since,
        ..RefusalQuery::default()
    });
    Part::first(args.refusals.max(1))
        .fetch(client, "refusal_list", &[], &query)
        .await
}

fn show(diagnosis: &Diagnosis) {
    for finding in &diagnosis.findings {
        say!("[{}] {}", output::word(&finding.severity), finding.title);
        say!("    {}", finding.detail);
        if let Some(remedy) = &finding.remedy {
            say!("    -> {remedy}");
        }
    }
}

fn show_refusals(refusals: &[Refusal]) {
    if refusals.is_empty() {
        say!("\nNo connection was turned away.");
        return;
    }
    say!("\nTurned away lately:");
    let mut table = output::table(&["when", "from", "over", "endpoint id", "times", "why"]);
    for refusal in refusals {
        table.add_row([
            &output::ago(Some(refusal.at)),
            &refusal.peer,
            &refusal.transport,
            output::or_dash(refusal.endpoint_id.as_deref()),
            &refusal.count.to_string(),
            &refusal.reason,
        ]);
    }
    output::print(&table);
}
