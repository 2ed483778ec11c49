// The operations of one device, newest first.
import type { DeviceDetail } from '~/api/devices';
import { Empty } from '~/components/notice';
import { t } from '~/text';
import { OperationTable } from '../operations/table';

const withoutDevice = ['device'];

export function DeviceOperations({ device }: { device: DeviceDetail }) {
  return (
    <OperationTable
      id="device-operations"
      filter={{ device_id: device.id }}
      without={withoutDevice}
      empty={<Empty title={t.device.operations.empty}><p>{t.device.operations.emptyDetail}</p></Empty>}
    />
  );
}
