//! A real dnsmasq with the lines of `headend discovery dhcp`, real DHCP clients, and the real agent, in two network
//! namespaces (see `netns`).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::netns::{AGENT, Net, Operator, SERVER_V4, SERVER_V6, agent, headend, possible};
use crate::rig::{Process, SOON, until};

impl Operator<'_> {
    /// What dnsmasq is to be told, as `discovery dhcp` prints it from the configuration that the server has.
    fn lines(&self, public_url: &str, more: &[&str]) -> String {
        let data = self.net.text("data");
        let key = self
            .asks(&["setup-key", "create", "dhcp", "--json"])
            .unwrap();
        let key: Value = serde_json::from_str(&key).unwrap();
        let key = key["secret"].as_str().unwrap();
        let dhcp = ["discovery", "dhcp", "--data", &data, "--setup-key", key];
        let mut command = Command::new(headend());
        command.args(dhcp).args(more);
        command
            .envs(Self::ENVIRONMENT)
            .env("HEADEND__USP__PUBLIC_URL", public_url);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn dnsmasq(&self, lines: &str) -> Process {
        self.dnsmasq_with("port=0", lines)
    }

    /// With DNS on this port, 0 being none.
    fn dnsmasq_with(&self, port: &str, lines: &str) -> Process {
        let net = self.net;
        let own = format!(
            "keep-in-foreground\n{port}\nno-resolv\nno-hosts\nno-ping\nuser=root\ninterface=lan\nbind-interfaces\nlog-dhcp\nlog-facility=-\n\
             dhcp-authoritative\npid-file=\ndhcp-leasefile={}\ndhcp-range=192.0.2.50,192.0.2.90,1h\n\
             dhcp-range=2001:db8:77::50,2001:db8:77::90,64,1h\n{lines}\n",
            net.text("dnsmasq.leases")
        );
        let file = net.write("dnsmasq.conf", &own);
        let file = format!("--conf-file={file}");
        net.start(&net.server, "dnsmasq", Path::new("dnsmasq"), &[&file])
    }
}

/// The agent in the device's namespace, which knows nothing but where the lease is and whom to trust.
fn start_agent(net: &Net, controller: &str, lease: &str) -> Process {
    let config = format!(
        "endpoint_id = \"{AGENT}\"\nstate_dir = \"{}\"\nlog = \"info\"\n\
         [discovery]\ndhcp_lease = \"{lease}\"\ntrusted = [\"{controller}\"]\n[tls]\nca_file = \"{}\"\n",
        net.text("state"),
        net.text("data/development-ca/ca.pem"),
    );
    let config = net.write("agent.toml", &config);
    net.start(&net.device, "agent", &agent(), &["--config", &config])
}

/// The device is there, and is managed: its row of the controller says what the lease said.
async fn is_managed(operator: &Operator<'_>, agent: &Process, code: &str) {
    let path = "Device.LocalAgent.Controller.1.ProvisioningCode";
    until("the device that the lease led here", SOON, async || {
        let got = operator
            .asks(&["device", "get", AGENT, path, "--json"])
            .ok()?;
        got.contains(&format!("\"{code}\"")).then_some(())
    })
    .await;
    assert!(
        agent.said().contains("the DHCP lease names a controller"),
        "{}",
        agent.said()
    );
}

/// The client that says it is an agent, and a script that writes down what it is told.
fn udhcpc(net: &Net, lease: &str) -> Process {
    let script = net.script(
        "udhcpc.sh",
        &format!(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip addr add $ip/$mask dev $interface\n\
             env | grep '^opt125=' > {lease}.new && mv {lease}.new {lease}\n"
        ),
    );
    let class = "0x7c:00000de90403757370";
    let arguments = [
        "udhcpc", "-i", "wan", "-f", "-q", "-n", "-t", "20", "-T", "1", "-O", "125", "-x", class,
        "-s", &script,
    ];
    net.start(&net.device, "udhcpc", Path::new("busybox"), &arguments)
}

/// R-DIS.1, TP-469 8.1, 8.2
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_asks_dnsmasq_by_udhcpc_is_led_to_the_server_and_managed() {
    if !possible() {
        return;
    }
    let net = Net::new("udhcpc");
    let url = format!("wss://{SERVER_V4}:8443/usp");
    let operator = Operator::start(&net, &url, &[]).await;
    let lines = operator.lines(
        &url,
        &["--v4", "--provisioning-code", "12", "--retry-min-wait", "5"],
    );
    let _dnsmasq = operator.dnsmasq(&lines);
    // The agent is there first: nothing is restarted when the lease comes, and comes with something else.
    let lease = net.text("lease");
    let agent = start_agent(&net, &operator.endpoint_id(), &lease);
    let _client = udhcpc(&net, &lease);
    is_managed(&operator, &agent, "12").await;
    // Something that is no lease loses nothing.
    std::fs::write(&lease, "opt125=00000de9ff").unwrap();
    until("the broken lease to be named", SOON, async || {
        agent
            .said()
            .contains("the DHCP lease cannot be read")
            .then_some(())
    })
    .await;
    is_managed(&operator, &agent, "12").await;
}

/// R-DIS.1b, R-DIS.7, TP-469 8.3
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_names_a_domain_leads_to_the_controller_its_name_server_tells_of() {
    if !possible() {
        return;
    }
    let net = Net::new("domain");
    net.resolves_by(SERVER_V4);
    let url = format!("wss://{SERVER_V4}:8443/usp");
    let operator = Operator::start(&net, &url, &[]).await;
    let lines = operator.lines(&url, &["--v4", "--provisioning-code", "12"]);
    // What stands in the lease is the domain; the name server has the rest.
    let (before, after) = lines.split_once(",25,").unwrap();
    let (url, after) = after.split_once('\n').unwrap();
    let (_, key) = url.rsplit_once('/').unwrap();
    let service = "_usp-ctr-ws._tcp.example.net";
    let instance = format!("{}.{service}", operator.endpoint_id());
    let lines = format!(
        "{before},25,example.net\n{after}\nptr-record={service},\"{instance}\"\n\
         srv-host={instance},server.example.net,8443\n\
         txt-record={instance},\"path=/usp/{key}\",encrypt\n\
         host-record=server.example.net,{SERVER_V4}\n"
    );
    let _dnsmasq = operator.dnsmasq_with("port=53", &lines);
    let lease = net.text("lease");
    let agent = start_agent(&net, &operator.endpoint_id(), &lease);
    let _client = udhcpc(&net, &lease);
    is_managed(&operator, &agent, "12").await;
}

/// R-DIS.1, TP-469 8.1
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_that_it_is_an_agent_is_told_nothing() {
    if !possible() {
        return;
    }
    let net = Net::new("others");
    let url = format!("wss://{SERVER_V4}:8443/usp");
    let operator = Operator::start(&net, &url, &[]).await;
    let _dnsmasq = operator.dnsmasq(&operator.lines(&url, &["--v4"]));
    let told = net.text("told");
    let script = net.script(
        "udhcpc.sh",
        &format!(
            "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nenv > {told}.new && mv {told}.new {told}\n"
        ),
    );
    let arguments = [
        "udhcpc", "-i", "wan", "-f", "-q", "-n", "-t", "20", "-T", "1", "-O", "125", "-s", &script,
    ];
    let _client = net.start(&net.device, "udhcpc", Path::new("busybox"), &arguments);
    let told = until("a lease", SOON, async || {
        std::fs::read_to_string(&told).ok()
    })
    .await;
    assert!(
        told.contains("ip=192.0.2.") && !told.contains("opt125"),
        "{told}"
    );
}

/// R-DIS.1
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_asks_dnsmasq_by_dhclient_is_led_to_the_server_and_managed() {
    if !possible() {
        return;
    }
    let net = Net::new("dhclient");
    let url = format!("wss://{SERVER_V4}:8443/usp");
    let operator = Operator::start(&net, &url, &[]).await;
    let _dnsmasq =
        operator.dnsmasq(&operator.lines(&url, &["--v4", "--provisioning-code", "Haus, Hof"]));
    // It takes no file that is not there.
    let lease = net.write("dhclient.leases", "");
    let agent = start_agent(&net, &operator.endpoint_id(), &lease);
    let config = net.write(
        "dhclient.conf",
        "send vivco 0:0:d:e9:4:3:75:73:70;\nalso request vivso;\n",
    );
    let script = net.script(
        "dhclient.sh",
        "#!/bin/sh\ncase $reason in\nBOUND) ip addr add $new_ip_address/$new_subnet_mask dev $interface;;\nesac\n",
    );
    let pid = net.text("dhclient.pid");
    let arguments = [
        "-4", "-d", "-cf", &config, "-lf", &lease, "-pf", &pid, "-sf", &script, "wan",
    ];
    let _client = net.start(&net.device, "dhclient", Path::new("dhclient"), &arguments);
    is_managed(&operator, &agent, "Haus, Hof").await;
}

/// R-DIS.1
#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_asks_dnsmasq_over_ipv6_is_led_to_the_server_and_managed() {
    if !possible() {
        return;
    }
    let net = Net::new("v6");
    // DHCPv6 goes from link-local address to link-local address, and these are not there at once.
    for (space, device) in [(&net.server, "lan"), (&net.device, "wan")] {
        until("the link-local address", SOON, async || {
            let show = [
                "-n",
                space,
                "-6",
                "addr",
                "show",
                "dev",
                device,
                "scope",
                "link",
                "-tentative",
            ];
            let shown = Command::new("ip").args(show).output().unwrap();
            (!shown.stdout.is_empty()).then_some(())
        })
        .await;
    }
    let url = format!("wss://[{SERVER_V6}]:8443/usp");
    let operator = Operator::start(&net, &url, &[]).await;
    let _dnsmasq =
        operator.dnsmasq(&operator.lines(&url, &["--v6", "--provisioning-code", "2000"]));
    // It takes no file that is not there.
    let lease = net.write("dhclient.leases", "");
    let agent = start_agent(&net, &operator.endpoint_id(), &lease);
    let config = net.write(
        "dhclient.conf",
        "option dhcp6.usp-class code 16 = string;\nsend dhcp6.usp-class 0:0:d:e9:0:3:75:73:70;\n\
         request dhcp6.vendor-opts;\n",
    );
    let script = net.script(
        "dhclient.sh",
        "#!/bin/sh\ncase $reason in\nBOUND6) ip -6 addr add $new_ip6_address/64 dev $interface nodad;;\nesac\n",
    );
    let pid = net.text("dhclient.pid");
    let arguments = [
        "-6", "-d", "-cf", &config, "-lf", &lease, "-pf", &pid, "-sf", &script, "wan",
    ];
    let _client = net.start(&net.device, "dhclient", Path::new("dhclient"), &arguments);
    is_managed(&operator, &agent, "2000").await;
}
