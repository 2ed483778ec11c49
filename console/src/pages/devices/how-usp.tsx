// What to write into a USP agent so that it comes with a fresh setup key.
import { useQuery } from '@tanstack/react-query';
import { systemQuery } from '~/api/admin';
import { useSession } from '~/api/session';
import { Note } from '~/components/notice';
import { Secret, Snippet } from '~/components/secret';
import { t } from '~/text';

export function HowUsp({ path, urls }: { path: string; urls: string[] }) {
  const d = t.addDevice;
  const session = useSession();
  const system = useQuery({ ...systemQuery, enabled: session.permissions.includes('system:read') });
  const url = urls[0];
  if (url === undefined) return <Note tone="warn">{d.noUsp}</Note>;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const endpoint = system.data?.endpoint_id ?? '<endpoint id of this controller>';
  return (
    <>
      {urls.map((one) => <Secret key={one} label={d.url} value={one} />)}
      <p className="dim small">{d.urlHint}</p>
      <Snippet label={d.howHeadendAgent} text={`[[controller]]\nendpoint_id = "${endpoint}"\nurl = "${url}"`} />
      <Snippet
        label={d.howObuspa}
        text={[
          `Device.LocalAgent.Controller.1.EndpointID "${endpoint}"`,
          'Device.LocalAgent.Controller.1.MTP.1.Protocol "WebSocket"',
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Host "${parsed?.hostname ?? ''}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Port "${parsed?.port || (parsed?.protocol === 'wss:' ? '443' : '80')}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.Path "${path}"`,
          `Device.LocalAgent.Controller.1.MTP.1.WebSocket.EnableEncryption "${parsed?.protocol === 'wss:'}"`,
          'Device.LocalAgent.Controller.1.MTP.1.Enable "true"',
          'Device.LocalAgent.Controller.1.Enable "true"',
        ].join('\n')}
      />
    </>
  );
}
