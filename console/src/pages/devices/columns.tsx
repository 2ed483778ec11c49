// The columns of the list of devices.
import { Link } from '@tanstack/react-router';
import type { Device } from '~/api/devices';
import type { Column } from '~/components/data-table/columns';
import { PresenceState } from '~/components/presence';
import { Tag } from '~/components/tag';
import { Ago } from '~/components/time';
import { t } from '~/text';

const text = (value: string | null | undefined) => (value ? <span title={value}>{value}</span> : <span className="dim">-</span>);
const mono = (value: string | null | undefined) => (value ? <span className="mono" title={value}>{value}</span> : <span className="dim">-</span>);
const c = t.devices.columns;

/** Those shown by themselves fit a window of 1440 pixels beside the rail and a scrollbar; with more, the name stays while the rest scrolls. */
export const deviceColumns: Column<Device>[] = [
  {
    id: 'name', header: c.name, width: 180, sort: 'name', fixed: true,
    cell: (d) => <Link to="/devices/$deviceId" params={{ deviceId: d.id }} tabIndex={-1} title={d.name}>{d.name}</Link>,
  },
  { id: 'presence', header: c.presence, width: 112, cell: (d) => <PresenceState presence={d.presence} /> },
  { id: 'evidence', header: c.evidence, width: 102, sort: 'last_seen', cell: (d) => <Ago at={d.presence.evidence_at} /> },
  { id: 'model', header: c.model, width: 132, sort: 'model', cell: (d) => text(d.model) },
  { id: 'manufacturer', header: c.manufacturer, width: 126, sort: 'manufacturer', cell: (d) => text(d.manufacturer) },
  { id: 'software', header: c.software, width: 96, sort: 'software_version', cell: (d) => text(d.software_version) },
  { id: 'serial', header: c.serial, width: 130, sort: 'serial', cell: (d) => mono(d.serial) },
  { id: 'ip', header: c.ip, width: 128, cell: (d) => mono(d.ip) },
  { id: 'tags', header: c.tags, width: 100, cell: (d) => (d.tags.length > 0 ? <span className="row tight">{d.tags.map((tag) => <Tag key={tag}>{tag}</Tag>)}</span> : <span className="dim">-</span>) },
  { id: 'boot', header: c.boot, width: 122, cell: (d) => <Ago at={d.last_boot_at} none="-" /> },
  { id: 'endpoint', header: c.endpoint, width: 240, hidden: true, cell: (d) => mono(d.endpoint_ids.join(', ')) },
  { id: 'created', header: c.created, width: 110, sort: 'created', hidden: true, cell: (d) => <Ago at={d.created_at} /> },
  { id: 'hardware', header: c.hardware, width: 110, hidden: true, cell: (d) => text(d.hardware_version) },
  { id: 'class', header: c.productClass, width: 120, hidden: true, cell: (d) => text(d.product_class) },
  { id: 'oui', header: c.oui, width: 90, hidden: true, cell: (d) => mono(d.oui) },
];
