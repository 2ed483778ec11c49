// What is shown instead of a page that is not there or failed to load.
import { Link, useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { Empty, Failure } from '~/components/notice';
import { t } from '~/text';

export function NotFound() {
  return (
    <main style={{ padding: 16 }}>
      <Empty title={t.frame.notFound} action={<Link to="/devices">{t.frame.toDevices}</Link>}>
        <p>{t.frame.notFoundDetail}</p>
      </Empty>
    </main>
  );
}

export function PageFailure({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  return (
    <main style={{ padding: 24, maxWidth: 720 }}>
      <Failure
        error={error}
        what={t.frame.pageFailed}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </main>
  );
}
