// Certificates of devices, and the authority that issues them.
import { queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type Certificate = Schemas['Certificate'];
export type CertificateIssued = Schemas['CertificateIssued'];

/** The newest ones: a page of the API. The command line lists all of them. */
export const CERTIFICATES_SHOWN = 500;

/** Days within which an end is soon, as the doctor has it. */
export const ENDS_SOON_DAYS = 30;

export interface CertificatesWanted {
  device?: string;
  endpoint?: string;
  show?: 'soon' | 'revoked';
}

export const certificatesQuery = ({ device, endpoint, show }: CertificatesWanted) =>
  queryOptions({
    queryKey: ['certificates', device ?? '', endpoint ?? '', show ?? ''],
    queryFn: ({ signal }) => {
      const query = {
        device_id: device,
        endpoint_id: endpoint,
        revoked: show === undefined ? undefined : show === 'revoked',
        ends_within_days: show === 'soon' ? ENDS_SOON_DAYS : undefined,
        limit: CERTIFICATES_SHOWN,
      };
      return need(client.GET('/api/v1/certificates', { params: { query }, signal }));
    },
  });
export const authorityQuery = queryOptions({
  queryKey: ['certificates', 'authority'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/certificate-authority', { signal })),
  // That there is none is an answer.
  retry: false,
});
export const issueCertificate = (body: Schemas['CertificateIssue']) => need(client.POST('/api/v1/certificates', { body }));
export const rotateCertificate = (device: string) => need(client.POST('/api/v1/devices/{device_id}/certificate/rotate', { params: { path: { device_id: device } }, body: {} }));
export const revokeCertificate = (id: string, reason: string) =>
  need(client.POST('/api/v1/certificates/{certificate_id}/revoke', { params: { path: { certificate_id: id } }, body: { reason } }));
