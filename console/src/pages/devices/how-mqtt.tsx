// What to write into a USP agent so that it comes over MQTT with a fresh setup key.
import { useQuery } from '@tanstack/react-query';
import { systemQuery, type SetupKeyCreated } from '~/api/admin';
import { useSession } from '~/api/session';
import { Secret, Snippet } from '~/components/secret';
import { t } from '~/text';

type MqttAccess = NonNullable<SetupKeyCreated['mqtt']>;

export function HowMqtt({ mqtt, secret }: { mqtt: MqttAccess; secret: string }) {
  const d = t.addDevice;
  const session = useSession();
  const system = useQuery({ ...systemQuery, enabled: session.permissions.includes('system:read') });
  const endpoint = system.data?.endpoint_id ?? '<endpoint id of this controller>';
  const url = mqtt.urls[0] ?? '';
  const encrypted = url.startsWith('mqtts:');
  const [host, port] = place(url, encrypted ? '8883' : '1883');
  return (
    <>
      {mqtt.urls.map((one) => <Secret key={one} label={d.mqttUrl} value={one} once={false} />)}
      <Secret label={d.acsUsername} value={mqtt.username} once={false} />
      <Secret label={d.acsPassword} value={secret} />
      <p className="dim small">{d.mqttHint}</p>
      <Snippet
        label={d.howHeadendAgent}
        text={`[[controller]]\nendpoint_id = "${endpoint}"\nurl = "${url}"\n[controller.mqtt]\nusername = "${mqtt.username}"\npassword = "${secret}"`}
      />
      <Snippet
        label={d.howParameters}
        text={[
          'Device.MQTT.Client.1.Enable "true"',
          `Device.MQTT.Client.1.BrokerAddress "${host}"`,
          `Device.MQTT.Client.1.BrokerPort "${port}"`,
          'Device.MQTT.Client.1.ProtocolVersion "5.0"',
          `Device.MQTT.Client.1.TransportProtocol "${encrypted ? 'TLS' : 'TCP/IP'}"`,
          `Device.MQTT.Client.1.Username "${mqtt.username}"`,
          `Device.MQTT.Client.1.Password "${secret}"`,
          'Device.LocalAgent.MTP.1.Enable "true"',
          'Device.LocalAgent.MTP.1.Protocol "MQTT"',
          'Device.LocalAgent.MTP.1.MQTT.Reference "Device.MQTT.Client.1"',
          `Device.LocalAgent.MTP.1.MQTT.ResponseTopicConfigured "${mqtt.agent_topic}"`,
          `Device.LocalAgent.Controller.1.EndpointID "${endpoint}"`,
          'Device.LocalAgent.Controller.1.Enable "true"',
          'Device.LocalAgent.Controller.1.MTP.1.Enable "true"',
          'Device.LocalAgent.Controller.1.MTP.1.Protocol "MQTT"',
          `Device.LocalAgent.Controller.1.MTP.1.MQTT.Topic "${mqtt.controller_topic}"`,
          'Device.LocalAgent.Controller.1.MTP.1.MQTT.AgentMTPReference "Device.LocalAgent.MTP.1"',
        ].join('\n')}
      />
    </>
  );
}

/** Host and port of an MQTT URL, which browsers know no default port of. */
function place(url: string, port: string): [string, string] {
  const rest = url.replace(/^mqtts?:\/\//, '').replace(/\/.*$/, '');
  const at = /^(.*?)(?::(\d+))?$/.exec(rest);
  return [at?.[1] ?? '', at?.[2] ?? port];
}
