// Certificates of devices, and the authority that issues them.
import { queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type Certificate = Schemas['Certificate'];
export type CertificateIssued = Schemas['CertificateIssued'];

/** The newest ones: a page of the API. The command line lists all of them. */
export const CERTIFICATES_SHOWN = 500;

export const certificatesQuery = (device?: string) =>
  queryOptions({
    queryKey: ['certificates', device ?? ''],
    queryFn: ({ signal }) => need(client.GET('/api/v1/certificates', { params: { query: { device_id: device, limit: CERTIFICATES_SHOWN } }, signal })),
  });
export const issueCertificate = (body: Schemas['CertificateIssue']) => need(client.POST('/api/v1/certificates', { body }));
export const rotateCertificate = (device: string) => need(client.POST('/api/v1/devices/{device_id}/certificate/rotate', { params: { path: { device_id: device } }, body: {} }));
export const revokeCertificate = (id: string, reason: string) =>
  need(client.POST('/api/v1/certificates/{certificate_id}/revoke', { params: { path: { certificate_id: id } }, body: { reason } }));
