import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app'
import './styles/base.css'
import './styles/bar.css'
import './styles/page.css'
import './styles/tables.css'
import './styles/side.css'
import './styles/sign-in.css'
import './styles/media.css'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
