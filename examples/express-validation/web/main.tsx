import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app'
import './styles/base.css'
import './styles/controls.css'
import './styles/frame.css'
import './styles/board.css'
import './styles/drawer.css'
import './styles/toasts.css'
import './styles/login.css'

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
)
