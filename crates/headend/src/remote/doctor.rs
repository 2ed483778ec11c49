//! `doctor`: why a device is not seen, and which connections were turned away.

use super::{Connection, client::Client, output};
use anyhow::Result;
use api::Page;
use api::doctor::{Diagnosis, DoctorQuery, Refusal};

#[derive(clap::Args)]
pub struct Args {
    /// An endpoint id, serial or address that is missed [default: look at the whole]
    device: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

pub async fn run(args: Args) -> Result<()> {
    let client = Client::new(&args.connection)?;
    let query = DoctorQuery {
        device: args.device.clone(),
    };
    let diagnosis: Diagnosis = client
        .call("doctor_show", &[], &api::query_pairs(&query))
        .await?;
    let refusals: Page<Refusal> = client
        .call("refusal_list", &[], &[("limit".into(), "10".into())])
        .await?;
    if args.connection.json {
        return output::json(
            &serde_json::json!({ "diagnosis": diagnosis, "refusals": refusals.items }),
        );
    }
    for finding in &diagnosis.findings {
        println!("[{}] {}", output::word(&finding.severity), finding.title);
        println!("    {}", finding.detail);
        if let Some(remedy) = &finding.remedy {
            println!("    -> {remedy}");
        }
    }
    // What was found about one device has its refusals in it.
    if args.device.is_some() {
        return Ok(());
    }
    if refusals.items.is_empty() {
        println!("\nNo connection has been turned away.");
        return Ok(());
    }
    println!("\nTurned away lately:");
    let mut table = output::table(&["when", "from", "endpoint id", "times", "why"]);
    for refusal in &refusals.items {
        table.add_row([
            &output::ago(Some(refusal.at)),
            &refusal.peer,
            output::or_dash(refusal.endpoint_id.as_deref()),
            &refusal.count.to_string(),
            &refusal.reason,
        ]);
    }
    println!("{table}");
    Ok(())
}
